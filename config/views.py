"""Pages that belong to no application: the front page and the error pages."""

import logging
import sys
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from config import request_ids, signing_in
from config.busy import DatabaseFault, fault_of, kinds_of, retry_after_s
from config.context_processors import site

logger = logging.getLogger(__name__)

_A_FEW_MINUTES_S = 300


type View = Callable[[HttpRequest], Coroutine[Any, Any, HttpResponseBase]]


def front(signed_in: View) -> View:
    """Make the front page: a stranger reads in one screen what this is, others see what `signed_in` shows."""

    @login_not_required
    @require_safe
    async def home(request: HttpRequest) -> HttpResponseBase:
        if (await request.auser()).is_authenticated:
            return await signed_in(request)
        if signing_in.is_part(request):
            return signing_in.to_sign_in(request)
        return TemplateResponse(request, "home.html")

    return home


@login_not_required
@require_safe
async def favicon(request: HttpRequest) -> HttpResponse:
    """Send browsers that ask at the old address to the icon."""
    return HttpResponseRedirect(static("img/favicon.svg"))


def _error_page(request: HttpRequest, status: int, title: str, advice: str) -> HttpResponse:
    context = {"title": title, "advice": advice}
    if status != HTTPStatus.NOT_FOUND:  # which is nobody's fault, and looks the same whatever is not there
        context["reference"] = request_ids.reference()
    return render(request, "error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that the request made no sense."""
    return _error_page(request, 400, _("That request made no sense"), _("Go back, reload the page and try again."))


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that the signed-in person may not do this."""
    return _error_page(request, 403, _("You may not do that"), _("Ask your administrator if you think you should."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that the form was not sent from a fresh page of this site."""
    return _error_page(
        request,
        403,
        _("This form is out of date"),
        _(
            "It was opened before you signed in or out, or your browser blocks cookies. Reload the page and "
            "send it again."
        ),
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say that there is nothing here: the same words for what never was and for what belongs to somebody else."""
    return _error_page(
        request, 404, _("There is nothing here"), _("It may have been deleted, or it belongs to another account.")
    )


def too_many_requests(
    request: HttpRequest, exception: Exception | None = None, *, retry_after_s: int = _A_FEW_MINUTES_S
) -> HttpResponse:
    """Say that this was tried too often, for a while."""
    response = _error_page(request, 429, _("That was tried too often"), _("Wait a few minutes, then try again."))
    response.headers["Retry-After"] = str(retry_after_s)
    return response


def too_busy(request: HttpRequest, retry_after_s: int) -> HttpResponse:
    """Say that nothing was done, because too many people want the same at this moment."""
    advice = _("Too many people are signing in at this moment. Nothing was changed: wait a little, then try again.")
    response = _error_page(request, 503, _("One moment, please"), advice)
    response.headers["Retry-After"] = str(retry_after_s)
    return response


def _words_for(fault: DatabaseFault) -> tuple[str, str]:
    match fault:
        case DatabaseFault.BUSY:
            return _("One moment, please"), _(
                "Too many people use the site at this moment. Wait a little, then try again."
            )
        case DatabaseFault.AWAY:
            # An answer that was lost on the way back may have been a yes.
            return _("One moment, please"), _(
                "The site does not reach its database at this moment, and tries again by itself. Wait a little; if you "
                "were changing something, look whether it is there before you do it again."
            )
        case DatabaseFault.READ_ONLY:
            return _("Nothing can be changed at this moment"), _(
                "The database of the site takes no changes for now. Nothing of what you did was kept: try again in a "
                "few minutes."
            )


def database_fault(request: HttpRequest, fault: DatabaseFault) -> HttpResponse:
    """Say what the database cannot do now, and when to come back; nothing is asked of it for this."""
    title, advice = _words_for(fault)
    context = site(request) | {"title": title, "advice": advice, "reference": request_ids.reference()}
    # Rendered without the request: who is signed in would be a question to that very database.
    page = render_to_string("error.html", context)
    return HttpResponse(page, status=503, headers={"Retry-After": str(retry_after_s())})


def _log_fault(request: HttpRequest, fault: DatabaseFault, error: BaseException | None) -> None:
    """Write one line. The words of a driver are left out: they can quote the row that was being written."""
    kinds = " from ".join(kinds_of(error))
    logger.error("The database %s: %s %s was answered with 503 (%s).", fault.value, request.method, request.path, kinds)


def server_error(request: HttpRequest) -> HttpResponse:
    """Say that the fault is ours, or the database's: Django calls this while the exception is handled.

    On a page of the site or, where that breaks too, in plain words.
    """
    if fault := fault_of(sys.exception()):
        response = database_fault(request, fault)
        _log_fault(request, fault, sys.exception())
        # Django would add a traceback for everybody who asks while the database is away.
        vars(response)["_has_been_logged"] = True
        return response
    title = _("Something broke on our side")
    advice = _("It has been logged. Try again; if it stays, tell your administrator.")
    try:
        return _error_page(request, 500, title, advice)
    except Exception:
        # The page asks for the person, who is in a database that may be what broke.
        logger.exception("The page that tells of a fault broke too.")
        return HttpResponse(
            f"{title}. {advice} {request_ids.reference()}\n", status=500, content_type="text/plain; charset=utf-8"
        )
