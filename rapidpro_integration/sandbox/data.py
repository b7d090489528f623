"""All workspaces of the sandbox, made once a process."""

from collections.abc import Mapping
from functools import cache

from rapidpro_integration.sandbox.clinics import clinics
from rapidpro_integration.sandbox.gallery import gallery
from rapidpro_integration.sandbox.generated import districts, national
from rapidpro_integration.sandbox.model import Workspace
from rapidpro_integration.sandbox.rows import Written, written_workspace
from rapidpro_integration.sandbox.script import Ask, Choice, Say

_PING = Ask("Ping", ("Are you there?",), (Choice(("Yes",), "has_any_word", ("yes",)),))
_FEW = (
    Written("hello", "Hello", "message", [Say(("Hello!",))], "2026-01-12T08:00:00", "2026-02-01T10:20:30.400500"),
    Written(
        "ping", "Ping", "message", [_PING], "2026-03-05T09:10:11.121314", "2026-11-02T05:00:00", (0, 1, 8, 2, 0, 0)
    ),
    Written("bye", "Bye", "message", [Say(("Bye!",))], "2026-04-19T17:45:00.000001", "2026-04-19T17:45:00.000001"),
)


@cache
def load() -> Mapping[str, Workspace]:
    """Return the workspaces by slug, the three large ones first."""
    workspaces = [
        clinics(),
        districts(),
        national(),
        gallery(),
        _plain("empty", "A new workspace", ()),
        _plain("limited", "Five requests a minute", _FEW, rates={"v2": "5/minute"}),
        _plain("broken", "A workspace whose flows are broken", _FEW, flows_broken=True),
    ]
    return {workspace.slug: workspace for workspace in workspaces}


def _plain(
    slug: str,
    name: str,
    flows: tuple[Written, ...],
    *,
    rates: Mapping[str, str] | None = None,
    flows_broken: bool = False,
) -> Workspace:
    return written_workspace(
        flows,
        slug=slug,
        name=name,
        country="",
        languages=("eng",),
        timezone="UTC",
        groups=("Everybody",),
        rates=rates,
        flows_broken=flows_broken,
    )
