"""What machines ask of this process: does it live, can it serve, how is it doing.

Answered ahead of the rest of the stack (`probes` in config.middleware): without a session, whatever the Host header
says and over plain http, for those who ask come by an address inside and not by the site's name.
"""

from collections.abc import Awaitable, Callable, Mapping

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from config import lifespan, metrics
from config.readiness import readiness

type View = Callable[[HttpRequest], Awaitable[HttpResponse]]


@login_not_required
@require_safe
async def livez(request: HttpRequest) -> HttpResponse:
    """Answer that this process serves requests; asks nothing of anybody, and says so until the process ends."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@require_safe
async def readyz(request: HttpRequest) -> HttpResponse:
    """Answer within a second whether this process can serve: 200 or 503, with a word for each part, as JSON.

    It cannot any more from the moment on when it is told to stop.
    """
    if lifespan.is_stopping():
        return _told(False, {"process": "stopping"})
    is_ready, parts = await readiness.alook()
    return _told(is_ready, parts)


def _told(is_ready: bool, parts: Mapping[str, str]) -> HttpResponse:
    response = JsonResponse({"ready": is_ready, "parts": parts}, status=200 if is_ready else 503)
    # Each part has said why, once a minute; Django would log an error each time that somebody asks.
    vars(response)["_has_been_logged"] = True
    return response


@login_not_required
@require_safe
async def metrics_page(request: HttpRequest) -> HttpResponse:
    """Answer with this process's numbers in Prometheus' text format; a 404 for all who may not read them."""
    if not metrics.may_read(request):
        raise Http404
    return HttpResponse(await metrics.atext(), content_type=metrics.CONTENT_TYPE)


VIEWS: Mapping[str, View] = {"/healthz": livez, "/livez": livez, "/readyz": readyz, "/metrics": metrics_page}


def view_of(request: HttpRequest) -> View | None:
    """Return the view that answers ahead of the stack; None for all other pages, and for those who may not read."""
    view = VIEWS.get(request.path_info)
    return None if view is metrics_page and not metrics.may_read(request) else view
