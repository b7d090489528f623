"""The RapidPro servers that a token may be sent to: named by the administrator, compared exactly."""

from functools import lru_cache

from django.conf import settings

from rapidpro_integration.client.origins import OriginError, canonical_origin


@lru_cache(maxsize=4)
def _canonical(origins: tuple[str, ...]) -> tuple[str, ...]:
    problem = ""
    try:
        return tuple(dict.fromkeys(canonical_origin(origin, named=True) for origin in origins))
    except OriginError as error:
        problem = str(error)
    raise OriginError(f"RAPIDPRO_SERVERS: {problem}")


def allowed() -> tuple[str, ...]:
    """Return the canonical origins of the allowed servers, in the order of RAPIDPRO_SERVERS. Raises OriginError."""
    return _canonical(tuple(settings.RAPIDPRO_SERVERS))


def host(origin: str) -> str:
    """Return what a person calls the server: the origin without its scheme."""
    return origin.partition("://")[2]
