"""The rows of the list of flows, against the same rows as Django's engine writes them: byte for byte."""

import random
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from django.template import engines
from django.utils import timezone as of_django
from django.utils import translation
from hypothesis import strategies

from rapidpro_integration.client.types import Flow, Ref, RunCounts
from rapidpro_integration.flow_rows import flow_rows

TOKEN_ID = UUID("5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10")
# Autoescape is on, so whatever this writes is safe.
BY_DJANGO = """{% load i18n humanize rapidpro %}{% for flow in flows %}
  <tr>
    <th scope="row"><a href="{% url 'rapidpro:flow-detail' token_id flow.uuid %}"><bdi>{{ flow.name|default:_("(no name)") }}</bdi></a>{% if flow.archived %} <span class="tag">{% translate "Archived" %}</span>{% endif %}</th>
    <td data-label="{% translate 'Type' %}">{{ flow.type|flow_type }}</td>
    <td data-label="{% translate 'Labels' %}"{% if not flow.labels %} class="void"{% endif %}>{% for label in flow.labels %}<bdi class="tag">{{ label.name }}</bdi> {% endfor %}</td>
    <td data-label="{% translate 'Runs' %}" class="num">{{ flow.runs.total|intcomma }}</td>
    <td data-label="{% translate 'Completed' %}" class="num">{{ flow.runs.completion_rate|percent }}</td>
    <td data-label="{% translate 'Modified' %}">{% when flow.modified_on %}</td>
    <td data-label="{% translate 'Created' %}">{% when flow.created_on "day" %}</td>
  </tr>{% endfor %}"""  # noqa: E501  # as it stood on the page

LANGUAGES = ("en", "fr", "es", "pt", "ar")
ZONES = ("UTC", "Africa/Nairobi", "Asia/Kathmandu", "Pacific/Kiritimati", "America/St_Johns")
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='x'>",
    "' onmouseover='x",
    "{{ request }}{% url %} {0} %s %(name)s",
    "&lt;b&gt; & &amp;",
    "\u202eمسح\u2066 ولايات",
    "",
)
FIRST = datetime.min.replace(tzinfo=UTC) + timedelta(days=2)
LAST = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)
MOMENTS = (
    None,
    FIRST,
    datetime(999, 12, 31, 23, 59, tzinfo=UTC),
    datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    # An hour that a zone has twice, and a server that writes no UTC.
    datetime(2026, 11, 1, 4, 30, tzinfo=UTC),
    datetime(2026, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    LAST,
)

_count = strategies.sampled_from((0, 1, 7, 999, 1_000, 12_345, 10**15))
_text = strategies.sampled_from(HOSTILE) | strategies.text(max_size=20)
_moment = strategies.sampled_from(MOMENTS) | strategies.datetimes(
    FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=strategies.just(UTC)
)
_flows = strategies.builds(
    Flow,
    uuid=strategies.uuids(),
    name=_text,
    type=strategies.sampled_from((None, "", "message", "voice", "background", "survey", *HOSTILE)),
    archived=strategies.booleans(),
    labels=strategies.lists(strategies.builds(Ref, name=_text), max_size=3).map(tuple),
    runs=strategies.builds(RunCounts, *[_count] * 6),
    created_on=_moment,
    modified_on=_moment,
)


def by_django(flows: list[Flow]) -> str:
    return engines["django"].from_string(BY_DJANGO).render({"flows": flows, "token_id": TOKEN_ID})


@pytest.mark.parametrize("language", LANGUAGES)
@hypothesis.settings(max_examples=10)
@hypothesis.given(flows=strategies.lists(_flows, max_size=3), zone=strategies.sampled_from(ZONES))
def test_rows_are_those_of_the_template_whatever_a_server_sends(language: str, flows: list[Flow], zone: str) -> None:
    with translation.override(language), of_django.override(ZoneInfo(zone)):
        assert flow_rows(TOKEN_ID, flows) == by_django(flows)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_month_and_rate_is_written_as_the_template_writes_it(language: str) -> None:
    chance = random.Random(1)
    flows = [
        Flow(
            uuid=UUID(int=number),
            name=f"Flow {number}",
            type="message",
            runs=RunCounts(completed=number, failed=100 - number, active=chance.choice((0, 10**number // 10**50))),
            created_on=datetime(2026, 1 + number % 12, 1, number % 24, tzinfo=UTC),
        )
        for number in range(101)
    ]
    with translation.override(language), of_django.override(ZoneInfo("Asia/Kolkata")):
        assert flow_rows(TOKEN_ID, flows) == by_django(flows)


def test_no_value_of_a_server_leaves_its_cell() -> None:
    flows = [Flow(uuid=TOKEN_ID, name=text, type=text, labels=(Ref(name=text),)) for text in HOSTILE[:3]]
    html = flow_rows(TOKEN_ID, flows)
    for sign in ("<script", "<img", "onerror='", "onmouseover='"):
        assert sign not in html
