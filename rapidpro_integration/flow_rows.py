"""The rows of the table of flows as HTML, without a template engine: 250 of them are most of the page's cost.

Everything that a server or a person has written goes through `escape`; the rest is our own words and numbers.
tests/rapidpro_integration/test_flow_rows.py holds this against the same rows as a Django template.
Source: docs/adr/0020-rows-without-an-engine.md.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.dates import MONTHS_3
from django.utils.formats import get_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from config.template_library import when
from rapidpro_integration.client.types import Flow
from rapidpro_integration.templatetags.rapidpro import flow_type, percent

_ANY = UUID(int=0)
# strftime writes the years before without leading zeros, and 9999 has no next day for a zone to be in.
_FIRST_YEAR, _LAST_YEAR = 1000, 9998


class _Words:
    """What is the same in every row of a language: words, names of months, how numbers are grouped."""

    def __init__(self) -> None:
        self.no_name, self.never = _("(no name)"), str(when(None))
        self.archived = f' <span class="tag">{_("Archived")}</span>'
        self.months = ["", *(str(MONTHS_3[month]).title() for month in range(1, 13))]
        self.no_per_cent = percent(None)
        self.per_cents = [percent(number / 100 + 0.001) for number in range(101)]
        self.grouped = _grouping()
        self.after_name = f'</th>\n    <td data-label="{_("Type")}">'
        self.after_type = f'</td>\n    <td data-label="{_("Labels")}"'
        self.after_labels = f'</td>\n    <td data-label="{_("Runs")}" class="num">'
        self.after_runs = f'</td>\n    <td data-label="{_("Completed")}" class="num">'
        self.after_rate = f'</td>\n    <td data-label="{_("Modified")}">'
        self.after_modified = f'</td>\n    <td data-label="{_("Created")}">'


def _grouping() -> Callable[[int], str]:
    """Return what writes a whole number as `intcomma` does, faster where the language groups by three."""
    separator = str(get_format("THOUSAND_SEPARATOR"))
    if get_format("NUMBER_GROUPING") != 3:
        return lambda number: str(intcomma(number))
    return lambda number: f"{number:,}".replace(",", separator)


@lru_cache(maxsize=32)
def _words(language: str | None) -> _Words:  # the key: what it returns is in the active language
    return _Words()


def flow_rows(token_id: UUID, flows: Iterable[Flow]) -> SafeString:
    """Return the rows of these flows of a token, in the active language and time zone."""
    words, zone = _words(translation.get_language()), timezone.get_current_timezone()
    href, _, href_end = reverse("rapidpro:flow-detail", args=[token_id, _ANY]).rpartition(str(_ANY))
    start, href_end = f'\n  <tr>\n    <th scope="row"><a href="{href}', f'{href_end}"><bdi>'
    months, grouped, per_cents = words.months, words.grouped, words.per_cents
    types = dict[str | None, str]()
    pieces = list[str]()

    def moment(value: datetime | None, *, is_day: bool) -> str:
        if value is None:
            return words.never
        if value.tzinfo is not UTC or not _FIRST_YEAR <= value.year <= _LAST_YEAR:
            return str(when(value, "day" if is_day else "minute"))
        local, iso = value.astimezone(zone), value.isoformat()
        time = "" if is_day else f", {local.hour:02}:{local.minute:02}"
        return (
            f'<time datetime="{iso[:19]}Z" title="{iso[:10]} {iso[11:19]} UTC">'
            f"{local.day} {months[local.month]} {local.year}{time}</time>"
        )

    for flow in flows:
        if (type_ := types.get(flow.type)) is None:
            type_ = types[flow.type] = escape(flow_type(flow.type))
        labels = "".join([f'<bdi class="tag">{escape(label.name)}</bdi> ' for label in flow.labels])
        runs = flow.runs
        total = runs.total
        # As `percent` cuts it, of a share that is worked out in the same way.
        rate = per_cents[int(runs.completed / total * 100)] if total else words.no_per_cent
        pieces.append(
            f"{start}{flow.uuid}{href_end}{escape(flow.name) or words.no_name}</bdi></a>"
            f"{words.archived if flow.archived else ''}{words.after_name}{type_}{words.after_type}"
            f"{'>' + labels if labels else ' class="void">'}{words.after_labels}{grouped(total)}"
            f"{words.after_runs}{rate}{words.after_rate}{moment(flow.modified_on, is_day=False)}"
            f"{words.after_modified}{moment(flow.created_on, is_day=True)}</td>\n  </tr>"
        )
    return mark_safe("".join(pieces))  # noqa: S308  # each value was escaped above
