"""Words and marks of the audit log."""

from django import template
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.audit import words
from accounts.audit.models import AuditEntry

register = template.Library()


@register.filter
def details(entry: AuditEntry) -> list[tuple[str | Promise, str | Promise]]:
    """Return the entry's details as names and values that a person can read."""
    return words.details(entry)


@register.simple_tag
def outcome_badge(entry: AuditEntry) -> SafeString:
    """Return how it ended as a sign and its words."""
    css, sign = {"refused": ("bad", "✕"), "failed": ("warn", "!")}.get(entry.outcome, ("good", "✓"))
    return format_html(
        '<span class="state {}"><span class="sign" aria-hidden="true">{}</span> {}</span>',
        css,
        sign,
        entry.get_outcome_display(),
    )
