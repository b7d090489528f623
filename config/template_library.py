"""Tags that every template may use without loading them."""

from datetime import UTC, datetime

from django import template
from django.urls import get_script_prefix
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = template.Library()


@register.simple_tag
def when(moment: datetime | None, style: str = "minute") -> SafeString | str:
    """Return a moment in the person's time zone, with UTC as its tooltip; `style` is "minute", "day" or "time"."""
    if moment is None:
        return format_html('<span class="muted">{}</span>', _("never"))
    local = timezone.localtime(moment)
    # The month as a word: 03/04 is a day of March to some readers and of April to others.
    texts = {
        "minute": date_format(local, "j M Y, H:i"),
        "day": date_format(local, "j M Y"),
        "time": date_format(local, "H:i"),
    }
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        texts[style],
    )


class PerLanguageNode(template.Node):
    """What depends on nothing but the language (and the path that the site is under), rendered once for each."""

    def __init__(self, nodelist: template.NodeList) -> None:
        self.nodelist = nodelist
        self._texts: dict[tuple[str | None, str], str] = {}

    def render(self, context: template.Context) -> str:
        """Return the text of the active language. Nothing of the context gets in, so nobody's facts can get out."""
        key = translation.get_language(), get_script_prefix()
        text = self._texts.get(key)
        if text is None:
            bare = template.Context()
            bare.template = context.template
            bare.render_context.template = context.render_context.template
            text = self._texts[key] = self.nodelist.render(bare)
        return text


@register.tag("perlanguage")
def per_language(parser: template.base.Parser, token: template.base.Token) -> PerLanguageNode:
    """Return what stands between `{% perlanguage %}` and `{% endperlanguage %}`: words, addresses, static files."""
    nodelist = parser.parse(("endperlanguage",))
    parser.delete_first_token()
    return PerLanguageNode(nodelist)
