"""The words of the mails about a token's health, and of what may change behind a token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from rapidpro_integration.health.judging import Drift, News
from rapidpro_integration.problems import Problem, problem_of_state
from rapidpro_integration.states import REFUSED, TokenState

type Text = str | Promise

DRIFTS: Mapping[str, Text] = {
    "workspace": _("Workspace (UUID)"),
    "name": _("Workspace's name"),
    "time_zone": _("Time zone"),
    "role": _("Rights of the token's user"),
}
# What mails without an entry of their own are about, for the log that its owner reads.
MAILS: Mapping[str, Text] = {"rotate_by": _("Time to replace a token"), "digest": _("Weekly mail")}
_RIGHTS: Mapping[str, Text] = {
    TokenState.WORKING.value: _("may read the workspace"),
    TokenState.NOT_ALLOWED.value: _("may not read the workspace"),
}


@dataclass(frozen=True, slots=True)
class Words:
    """A mail's subject, with the token's label in it, what happened, and what to do."""

    subject: Text
    fact: Text
    advice: Text


_WORKS_AGAIN = Words(
    _("Token works again: %(label)s"),
    _("One of your RapidPro API tokens works again; we had told you that it did not."),
    _("There is nothing to do. What happened in between is on the token's page."),
)
_DRIFT = Words(
    _("Something changed behind the token: %(label)s"),
    _("The server tells something else of the workspace that this token opens than it did before."),
    _(
        "If you know of the change, there is nothing to do. If you do not: ask an administrator of the workspace. A "
        "token that opens another workspace than before should be replaced."
    ),
)
_OUT_OF_REACH = _(
    "It has been so for a while, and we go on asking. As far as we know your token is in order: there is nothing to do "
    "with it. Ask the people who run that server. We tell you when it works again."
)


def words_of(news: News, state: TokenState) -> Words:
    """Return the words of a mail about a check that found `state`."""
    if news is News.WORKS_AGAIN:
        return _WORKS_AGAIN
    if news is News.DRIFT:
        return _DRIFT
    problem = problem_of_state(state)
    assert isinstance(problem, Problem)  # noqa: S101  # only a state with a problem breaks a token
    if state in REFUSED:
        return Words(_("Token refused by its server: %(label)s"), problem.title, problem.advice)
    return Words(_("Token does not work for now: %(label)s"), problem.title, _OUT_OF_REACH)


def drift_lines(drift: Drift) -> Sequence[tuple[Text, Text, Text]]:
    """Return what changed as (what, before, now), in words."""

    def said(value: str) -> Text:
        # On one line: a server is not to write lines of its own into a mail.
        return _RIGHTS.get(value, " ".join(value.split())) or "–"

    return [(DRIFTS[name], said(before), said(now)) for name, (before, now) in drift.items() if name in DRIFTS]
