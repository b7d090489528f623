"""Words and marks for what RapidPro's API says in codes."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from rapidpro_integration.models import TokenCheck, TokenState

register = template.Library()

_FLOW_TYPES = {
    "message": gettext_lazy("Messaging"),
    "voice": gettext_lazy("Phone call"),
    "background": gettext_lazy("Background"),
    "survey": gettext_lazy("Surveyor"),
}

# State: (CSS class, sign). The sign is decoration: the words beside it say the same.
_SIGNS = {
    TokenState.UNCHECKED: ("calm", "○"),
    TokenState.WORKING: ("good", "✓"),
    TokenState.REJECTED: ("bad", "✕"),
    TokenState.NOT_ALLOWED: ("bad", "⊘"),
    TokenState.RATE_LIMITED: ("warn", "◔"),
    TokenState.UNREACHABLE: ("warn", "⇢"),
    TokenState.NOT_RAPIDPRO: ("bad", "?"),
    TokenState.SERVER_ERROR: ("warn", "!"),
    TokenState.LOCKED: ("bad", "■"),
    TokenState.DISABLED: ("calm", "‖"),
}


@register.filter
def flow_type(value: str | None) -> str:
    """Return the words for a flow's type; a type that we do not know is shown as it came."""
    if not value:
        return _("No type")
    return str(_FLOW_TYPES.get(value, value))


@register.filter
def percent(value: float | None) -> str:
    """Return 0.123 as "12 %", and a rate that cannot be told as a dash."""
    return "–" if value is None else _("%(number)d %%") % {"number": int(value * 100)}


@register.simple_tag
def check_badge(check: TokenCheck) -> SafeString:
    """Return what a check found as a sign and its words."""
    return state_badge(TokenState(check.state))


@register.simple_tag
def state_badge(state: TokenState) -> SafeString:
    """Return a token's state as a sign and its words."""
    css, sign = _SIGNS[state]
    return format_html(
        '<span class="state {}"><span class="sign" aria-hidden="true">{}</span> {}</span>', css, sign, state.label
    )
