"""How often a person, and an address, may do what costs somebody else something."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from allauth.core.internal import ratelimit
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from accounts.selectors import person
from config import views

type AsyncView = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def limited(action: str) -> Callable[[AsyncView], AsyncView]:
    """Return a decorator for an async view whose posts are counted against `RATE_LIMITS[action]`; beyond it, a 429.

    Its Retry-After is the longest of the limit's times: then there is room again. The counts lie in the cache, so that
    all workers share them.
    """

    def decorate(view: AsyncView) -> AsyncView:
        @wraps(view)
        async def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method == "POST" and not await _aconsume(request, action):
                rates = ratelimit.get_rates(app="rapidpro", action=action, config=settings.RATE_LIMITS)
                return views.too_many_requests(request, retry_after_s=int(max(rate.duration for rate in rates)))
            return await view(request, *args, **kwargs)

        return counted

    return decorate


@sync_to_async
def _aconsume(request: HttpRequest, action: str) -> bool:
    usage = ratelimit.consume(request, app="rapidpro", action=action, config=settings.RATE_LIMITS, user=person(request))
    return usage is not None
