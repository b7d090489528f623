"""Small helps of the staff pages."""

from django import template

from rapidpro_integration import servers

register = template.Library()


@register.filter
def host(origin: str) -> str:
    """Return a server as a person calls it, without the scheme."""
    return servers.host(origin)


@register.filter
def last_parts(path: str, number: int) -> str:
    """Return the last parts of a dotted path: "bulk.run_later"."""
    return ".".join(path.split(".")[-number:])
