"""Flows as plain text for a terminal: what stands in them is hostile, so nothing of it can move a cursor."""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from rapidpro_integration.client.types import Flow
from rapidpro_integration.pictures.steps import Line, Step, To, Way
from rapidpro_integration.pictures.texts import clean
from rapidpro_integration.pictures.words import Gettext
from rapidpro_integration.templatetags.rapidpro import flow_type, percent

_HEADINGS = ("UUID", "TYPE", "RUNS", "DONE", "MODIFIED", "NAME")


def one_line(text: str) -> str:
    """Return the text on one line, without what a terminal would obey."""
    return " ".join(clean(text).split())


def _moment(moment: datetime | None, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if moment else "-"


def table(flows: Sequence[Flow], zone: tzinfo) -> Iterator[str]:
    """Yield a line for each flow, after one of headings; the name comes last, with its labels, for it has no width."""
    rows = [_HEADINGS, *(_row(flow, zone) for flow in flows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS) - 1)]
    for row in rows:
        cells = [
            cell.rjust(width) if column in {2, 3} else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        yield "  ".join([*cells, row[-1]]) + "\n"


def _row(flow: Flow, zone: tzinfo) -> tuple[str, ...]:
    notes = ["archived"] * flow.archived + [one_line(label.name) for label in flow.labels]
    name = one_line(flow.name) or "(no name)"
    return (
        str(flow.uuid),
        one_line(flow_type(flow.type)),
        f"{flow.runs.total:,}",
        percent(flow.runs.completion_rate),
        _moment(flow.modified_on, zone),
        f"{name} [{', '.join(notes)}]" if notes else name,
    )


def facts(flow: Flow, zone: tzinfo) -> Iterator[str]:
    """Yield what is known of one flow, a fact a line."""
    runs = flow.runs
    expires = "-" if flow.expires_minutes is None else f"after {flow.expires_minutes:,} minutes"
    told = {
        "Name": one_line(flow.name) or "(no name)",
        "UUID": str(flow.uuid),
        "Type": one_line(flow_type(flow.type)),
        "Archived": "yes" if flow.archived else "no",
        "Labels": ", ".join(one_line(label.name) for label in flow.labels) or "-",
        "Created": _moment(flow.created_on, zone),
        "Modified": _moment(flow.modified_on, zone),
        "Expires": "never" if flow.expires_minutes == 0 else expires,
        "Runs": f"{runs.total:,}",
        **{f"  {state}": f"{getattr(runs, state):,}" for state in runs.__struct_fields__},
        "Completed": percent(runs.completion_rate),
    }
    width = max(map(len, told))
    yield from (f"{name.ljust(width)}  {value}\n" for name, value in told.items())
    for result in flow.results:
        categories = ", ".join(map(one_line, result.categories)) or "-"
        yield f"{'Result'.ljust(width)}  {one_line(result.name)} ({one_line(result.key)}): {categories}\n"


def script(steps: Sequence[Step], name: str, gettext: Gettext) -> Iterator[str]:
    """Yield the script of a flow: each step with what it does and says, and where its answers lead."""
    yield f"{one_line(name)}\n"
    for step in steps:
        yield f"\n{gettext('Step')} {step.number}\n"
        for line in step.lines:
            yield from _said(line, gettext)
        for way in step.ways:
            yield f"  {_towards(way, gettext)}\n"


def _said(line: Line, gettext: Gettext) -> Iterator[str]:
    missing = f" ({gettext('not translated')})" if line.is_missing else ""
    if not line.is_spoken:
        yield f"  {one_line(line.words)}{missing}{': ' + one_line(line.text) if line.text else ''}\n"
    else:
        yield f"  {one_line(line.words)}{missing}\n"
        yield from (f"    | {text}\n" for text in clean(line.text).splitlines())
    yield from (f"    {one_line(extra)}\n" for extra in line.extras)


def _towards(way: Way, gettext: Gettext) -> str:
    goal = {
        To.STEP: gettext("step %(number)s") % {"number": way.number},
        To.END: gettext("the end"),
        To.NOWHERE: gettext("a step that is not there"),
    }[way.to]
    tests = f" ({one_line(way.tests)})" if way.tests else ""
    missing = f" ({gettext('not translated')})" if way.is_missing else ""
    return " ".join(filter(None, [f"{one_line(way.name)}{missing}{tests}", f"-> {goal}"]))
