"""Views that ask nothing but our own database: all of such a page is made in one hop to a thread."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpResponseBase
from django.template.response import SimpleTemplateResponse


def rendered[Answer: HttpResponseBase](response: Answer) -> Answer:
    """Return the answer with its template rendered now, in this thread, so that Django takes no other one for it."""
    if isinstance(response, SimpleTemplateResponse):
        response.render()
        # Django would hop again to render what is rendered; it does so if this can be called.
        vars(response)["render"] = None
    return response


def in_one_hop(view: Callable[..., HttpResponseBase]) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """Make an async view of a sync one: its queries and its template run in one thread, in one hop."""

    def whole(*args: Any, **kwargs: Any) -> HttpResponseBase:
        return rendered(view(*args, **kwargs))

    awhole = sync_to_async(whole)

    @wraps(view)
    async def aview(*args: Any, **kwargs: Any) -> HttpResponseBase:
        return await awhole(*args, **kwargs)

    return aview
