"""What a person reads when RapidPro did not answer as hoped: what happened, what to do, when to try again."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from config import request_ids
from rapidpro_integration.canaries import KeyUnfitError
from rapidpro_integration.client.errors import AbstractRequestException, Kind
from rapidpro_integration.models import RapidProToken, TokenState

logger = logging.getLogger(__name__)

_KEYS_RETRY_S = 300

type Text = str | Promise


@dataclass(frozen=True, slots=True)
class Problem:
    """A title, an advice and the HTTP status of the page that shows them.

    `fix` names what the page offers: "replace" (the token), "retry", or "" where only somebody else can help.
    """

    title: Text
    advice: Text
    status: int
    fix: str = "retry"


PROBLEMS: Mapping[Kind, Problem] = {
    Kind.REJECTED: Problem(
        _("The server does not know this token"),
        _(
            "It was mistyped, or it was deleted in RapidPro, or its user or workspace is gone. Make a new "
            "one in RapidPro and put it in place of this one."
        ),
        424,
        "replace",
    ),
    Kind.NOT_ALLOWED: Problem(
        _("The token is known, but its user may not do this"),
        _(
            "The person who made it was removed from the workspace, or has the role of an agent. Ask an "
            "administrator of the workspace for the editor role, or use the token of somebody who has it."
        ),
        424,
        "replace",
    ),
    Kind.RATE_LIMITED: Problem(
        _("The workspace has used up its requests"),
        _(
            "RapidPro gives each workspace so many requests an hour, shared by everyone and every program "
            "that uses it. Nothing is wrong with your token."
        ),
        429,
    ),
    Kind.UNREACHABLE: Problem(
        _("The server cannot be reached"),
        _("It may be down, or the way to it may be blocked. Your token stays as it is; try again in a few minutes."),
        502,
    ),
    Kind.TIMED_OUT: Problem(
        _("The server took too long to answer"),
        _("It may be overloaded. Your token stays as it is; try again in a few minutes."),
        504,
    ),
    Kind.TLS: Problem(
        _("The server could not prove who it is"),
        _(
            "Its certificate is expired, unknown or for another name, so the token was not sent. Tell the "
            "people who run that server."
        ),
        502,
    ),
    Kind.PAUSED: Problem(
        _("The server is left alone for a moment"),
        _(
            "It has just failed several times in a row, for everybody or for this token, so nothing was sent. Your "
            "token stays as it is; we ask again as soon as the time is over."
        ),
        503,
    ),
    Kind.BUSY: Problem(
        _("Too many requests are under way"),
        _(
            "You, or everybody together, are asking this server for more than it gets from us at a time, so nothing "
            "was sent. Wait a few seconds and try again."
        ),
        503,
    ),
    Kind.REDIRECTED: Problem(
        _("The server points to another address"),
        _(
            "A token is never sent on to another address. The server may have moved: ask your administrator "
            "for the right one."
        ),
        502,
    ),
    Kind.NOT_RAPIDPRO: Problem(
        _("This does not answer like RapidPro"),
        _(
            "The answer was a web page or something else that is no RapidPro API. Check the server of this "
            "token, or ask your administrator."
        ),
        502,
    ),
    Kind.NOT_FOUND: Problem(
        _("The server does not have what we asked for"),
        _("It may run a version of RapidPro that lacks it. Tell your administrator."),
        502,
    ),
    Kind.SERVER_ERROR: Problem(
        _("The server broke on this request"),
        _("The fault is on RapidPro's side. Try again later; if it stays, tell the people who run that server."),
        502,
    ),
    Kind.BAD_REQUEST: Problem(
        _("The server did not understand the request"),
        _("It may run a version of RapidPro that we do not know. Tell your administrator."),
        502,
    ),
    Kind.MALFORMED: Problem(
        _("The server's answer cannot be read"),
        _("It broke off or is damaged. Try again; if it stays, tell the people who run that server."),
        502,
    ),
    Kind.TOO_LARGE: Problem(
        _("The server's answer is too large"),
        _(
            "It is larger than any page of RapidPro's should be, so we stopped reading. Tell the people who "
            "run that server."
        ),
        502,
    ),
    Kind.LOCKED: Problem(
        _("This token is locked: ask your administrator"),
        _(
            "The key that opens it is missing, its server is no longer on the list, or the saved token was "
            "changed from outside. Nothing was sent and nothing was overwritten. You can also replace the token."
        ),
        423,
        "replace",
    ),
    Kind.DISABLED: Problem(
        _("Staff have disabled this token"),
        _("It is not used until they enable it again. Ask your administrator."),
        423,
        "",
    ),
}


def problem_for(error: AbstractRequestException) -> Problem:
    """Return the words for an error."""
    return PROBLEMS[error.kind]


_STATE_KINDS: Mapping[TokenState, Kind] = {
    TokenState.REJECTED: Kind.REJECTED,
    TokenState.NOT_ALLOWED: Kind.NOT_ALLOWED,
    TokenState.RATE_LIMITED: Kind.RATE_LIMITED,
    TokenState.UNREACHABLE: Kind.UNREACHABLE,
    TokenState.NOT_RAPIDPRO: Kind.NOT_RAPIDPRO,
    TokenState.SERVER_ERROR: Kind.SERVER_ERROR,
    TokenState.LOCKED: Kind.LOCKED,
    TokenState.DISABLED: Kind.DISABLED,
}


def problem_of_state(state: TokenState) -> Problem | None:
    """Return the words for what stands in a token's way, or None for a working or unchecked one."""
    kind = _STATE_KINDS.get(state)
    return PROBLEMS[kind] if kind else None


def log_problem(error: AbstractRequestException, token: RapidProToken | None, reference: str) -> None:
    """Write one line that an administrator finds by its reference: facts only, no address and no text of a server's."""
    logger.warning(
        "problem reference=%s kind=%s status=%s retry_after_s=%s token=%s server=%s",
        reference,
        error.kind,
        error.status_code,
        error.retry_after_s,
        token.pk if token else "-",
        token.server if token else "-",
    )


def problem_response(
    request: HttpRequest, error: AbstractRequestException, token: RapidProToken, reference: str = ""
) -> TemplateResponse:
    """Return the page that explains `error`, with its reference, and the time to wait where one is known."""
    problem, reference = problem_for(error), reference or request_ids.reference()
    log_problem(error, token, reference)
    response = TemplateResponse(
        request,
        "rapidpro_integration/problem.html",
        {"problem": problem, "error": error, "token": token, "reference": reference, "section": "tokens"},
        status=problem.status,
    )
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(int(error.retry_after_s))
    return response


def keys_unfit_response(request: HttpRequest, error: KeyUnfitError) -> TemplateResponse:
    """Return the page that says that nothing can be sealed at the moment, and log why for the administrator."""
    logger.error("nothing sealed: %s", error)
    return TemplateResponse(
        request,
        "error.html",
        {
            "title": _("Nothing can be saved at the moment"),
            "advice": _(
                "The keys of this site are being changed. Try again later; if it stays, tell your administrator."
            ),
        },
        status=503,
        headers={"Retry-After": str(_KEYS_RETRY_S)},
    )
