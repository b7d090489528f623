"""Tags that every template may use without loading them."""

from datetime import UTC, datetime

from django import template
from django.utils import timezone
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
