"""Small helps of the staff pages."""

from django import template

from rapidpro_integration import servers

register = template.Library()


@register.filter
def host(origin: str) -> str:
    """Return a server as a person calls it, without the scheme."""
    return servers.host(origin)
