"""Search, filters, counts and order: compared with the plainest way to say them, and through the page."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import respx
from django.test import Client
from django.utils import timezone, translation
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from rapidpro_integration.client.types import Flow, Ref
from rapidpro_integration.client.types.flows import RunCounts
from rapidpro_integration.flow_filters import COLUMNS, SORTS, FlowQuery, by_words, fold, search
from rapidpro_integration.flow_forms import FlowFilterForm, fields_of, plain_query
from rapidpro_integration.kept import KeptFlows
from rapidpro_integration.models import RapidProToken
from tests.rapidpro_integration.test_flow_views import FLOWS, Answer, flow, get, page_of
from tests.rapidpro_integration.test_flow_views import UUID as LABEL_UUID

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def kept_of(*flows: Flow) -> KeptFlows:
    return KeptFlows(flows, 0, "", NOW)


def made(number: int, **fields: object) -> Flow:
    return Flow(uuid=UUID(int=number), **fields)


moments = st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 9), timezones=st.just(UTC))  # noqa: DTZ001
counts = st.integers(0, 3)
flows = st.lists(
    st.builds(
        lambda number, **fields: made(number, **fields),
        number=st.integers(1, 2**100),
        name=st.sampled_from(["", "Malaria", "MALÁRIA 2", "Fièvre", "Straße", "حمى"]),
        type=st.sampled_from([None, "message", "voice"]),
        archived=st.booleans(),
        labels=st.lists(st.sampled_from(["A", "B", "Ç"]).map(lambda name: Ref(name=name)), max_size=3).map(tuple),
        runs=st.builds(RunCounts, active=counts, completed=counts, failed=counts),
        created_on=moments,
        modified_on=moments,
    ),
    max_size=12,
    unique_by=lambda flow: flow.uuid,
)
queries = st.builds(
    FlowQuery,
    name=st.sampled_from(["", "malaria", "FIEVRE", "strasse", "2 mal", "c", "b mal", "nothing"]),
    labels_too=st.booleans(),
    label=st.sampled_from(["", "A", "Ç", "gone"]),
    type=st.sampled_from(["", "-", "voice", "gone"]),
    archived=st.sampled_from([None, True, False]),
    no_runs=st.booleans(),
    modified=st.tuples(moments, moments),
    created=st.tuples(moments, moments),
    idle_since=moments,
    rate=st.tuples(st.none() | st.integers(0, 100), st.none() | st.integers(0, 100)),
    sort=st.sampled_from(SORTS),
)


def within(value: object, window: tuple[object, object]) -> bool:
    first, last = window
    if first is None and last is None:
        return True
    return value is not None and (first is None or first <= value) and (last is None or value <= last)  # type: ignore[operator]


def fits(flow: Flow, query: FlowQuery) -> bool:
    total = flow.runs.total
    texts = [flow.name, *(label.name for label in flow.labels if query.labels_too)]
    return (
        all(any(word in fold(text) for text in texts) for word in fold(query.name).split())
        and (not query.label or query.label in [label.name for label in flow.labels])
        and (not query.type or (flow.type or "-") == query.type)
        and (query.archived is None or flow.archived == query.archived)
        and (not query.no_runs or total == 0)
        and within(flow.modified_on, query.modified)
        and within(flow.created_on, query.created)
        and within(None if not total else 100 * flow.runs.completed // total, query.rate)
        and (
            query.idle_since is None
            or (
                flow.modified_on is not None
                and flow.modified_on <= query.idle_since
                and not flow.runs.active + flow.runs.waiting
            )
        )
    )


@given(flows, queries)
def test_search_finds_exactly_what_fits_and_each_count_is_what_one_click_would_show(
    rows: list[Flow], query: FlowQuery
) -> None:
    kept = kept_of(*rows)
    found = search(kept, query)
    assert {flow.uuid for flow in found.flows} == {flow.uuid for flow in rows if fits(flow, query)}
    assert len(found.flows) == len({flow.uuid for flow in found.flows})
    for label in ("A", "B", "Ç"):
        assert found.counts.labels[label] == len(search(kept, replace(query, label=label)).flows)
    for kind in ("-", "message", "voice"):
        assert found.counts.types[kind] == len(search(kept, replace(query, type=kind)).flows)
    for archived in (True, False):
        assert found.counts.archived[archived] == len(search(kept, replace(query, archived=archived)).flows)
    assert found.counts.no_runs == len(search(kept, replace(query, no_runs=True)).flows)


@given(flows, st.sampled_from(["malaria", "b mal", "c", "fievre", "nothing", " "]))
def test_words_find_what_the_filter_over_labels_too_finds_with_archived_ones_last(rows: list[Flow], typed: str) -> None:
    kept = kept_of(*rows)
    found = by_words(kept, typed)
    wanted = search(kept, FlowQuery(name=typed, labels_too=True)).flows if typed.strip() else []
    assert sorted(flow.uuid for flow in found) == sorted(flow.uuid for flow in wanted)
    assert [flow.archived for flow in found] == sorted(flow.archived for flow in found)


READ = {
    "name": lambda flow: fold(flow.name),
    "type": lambda flow: flow.type or "-",
    "labels": lambda flow: tuple(fold(name) for name in dict.fromkeys(label.name for label in flow.labels)),
    "runs": lambda flow: flow.runs.total,
    "rate": lambda flow: flow.runs.completion_rate,
    "modified": lambda flow: flow.modified_on,
    "created": lambda flow: flow.created_on,
}


@given(flows, st.sampled_from(SORTS))
def test_every_column_sorts_both_ways_with_what_is_missing_last(rows: list[Flow], sort: str) -> None:
    values = [READ[sort.removeprefix("-")](flow) for flow in search(kept_of(*rows), FlowQuery(sort=sort)).flows]
    given_values = [value for value in values if value not in (None, "", ())]
    assert given_values == sorted(given_values, reverse=sort.startswith("-"))  # type: ignore[type-var]
    assert values[: len(given_values)] == given_values
    assert set(READ) == set(COLUMNS)


@pytest.mark.parametrize(
    ("typed", "name"),
    [("fievre", "Fièvre jaune"), ("JAUNE fièvre", "Fièvre jaune"), ("strasse", "Straße"), ("sao", "São Tomé")],
)
def test_name_is_found_without_case_and_accents(typed: str, name: str) -> None:
    assert search(kept_of(made(1, name=name)), FlowQuery(name=typed)).flows
    assert not search(kept_of(made(1, name=name)), FlowQuery(name=typed + "x")).flows


def test_filter_of_25_000_flows_takes_well_under_100_ms(record_property: Callable[[str, object], None]) -> None:
    dice = random.Random(5)
    labels = [Ref(name=f"Label {number}") for number in range(60)]
    kept = kept_of(
        *(
            made(
                number + 1,
                name=f"Programme {dice.choice(['fièvre', 'malaria', 'nutrition'])} {number}",
                type=dice.choice(["message", "voice", "background"]),
                archived=dice.random() < 0.3,
                labels=tuple(dice.sample(labels, 2)),
                runs=RunCounts(completed=dice.randrange(100), expired=dice.randrange(100)),
                created_on=NOW - timedelta(minutes=number),
                modified_on=NOW - timedelta(seconds=dice.randrange(10**7)),
            )
            for number in range(25_000)
        )
    )
    query = FlowQuery(
        name="malaria", label="Label 7", archived=False, rate=(10, 90), modified=(NOW - timedelta(days=90), None)
    )
    search(kept, query)  # the columns are made at the first look
    durations = []
    for changed in [query, replace(query, label=""), replace(query, name=""), FlowQuery(), FlowQuery(sort="-created")]:
        started = time.process_time()
        assert search(kept, changed).flows
        durations.append(time.process_time() - started)
    record_property("ms", [round(duration * 1000) for duration in durations])
    assert max(durations) < 0.1, durations


# --- The form -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"after": "yesterday"}, "after"),
        ({"before": "2026-02-30"}, "before"),
        ({"created_after": "0001-01-01"}, "created_after"),
        ({"after": "2026-11-02", "before": "2026-11-01"}, "before"),
        ({"created_after": "2026-11-02", "created_before": "2026-11-01"}, "created_before"),
        ({"idle": "-1"}, "idle"),
        ({"idle": "many"}, "idle"),
        ({"rate_from": "101"}, "rate_from"),
        ({"rate_from": "60", "rate_to": "40"}, "rate_to"),
        ({"archived": "perhaps"}, "archived"),
        ({"q": "\x00"}, "q"),
    ],
    ids=str,
)
def test_bad_input_is_told_beside_its_field_and_nothing_is_lost(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter, data: dict[str, str], field: str
) -> None:
    form = FlowFilterForm(data)
    assert list(form.errors) == [field]
    response = owner_client.get(f"/tokens/{token.pk}/flows/", data | {"label": "Kept <label>", "type": "voice"})
    page = response.content.decode()
    slot = re.search(rf'<div class="slot" id="slot_{field}">(.*?)</div>', page, re.DOTALL)
    assert slot is not None
    assert "errorlist" in slot[1]
    assert 'value="Kept &lt;label&gt;" selected' in page
    assert 'value="voice" selected' in page
    for value in set(data.values()) - {"perhaps", "\x00"}:
        assert f'value="{value}"' in page
    assert not respx_mock.calls


def test_windows_are_whole_days_in_the_persons_zone() -> None:
    form = FlowFilterForm({"after": "2026-11-01", "created_before": "2026-11-02"})
    with timezone.override("Africa/Nairobi"):
        assert form.is_valid()
        query = form.query()
    assert query.modified == (datetime(2026, 10, 31, 21, tzinfo=UTC), None)
    assert query.created == (None, datetime(2026, 11, 2, 20, 59, 59, 999999, tzinfo=UTC))


def test_empty_form_asks_for_everything_and_an_order_that_nobody_can_choose_is_the_usual_one() -> None:
    for data in ({}, {"sort": "password"}, {"q": "  "}):
        form = FlowFilterForm(data)
        assert form.is_valid()
        assert form.query() == FlowQuery()


# --- The page -----------------------------------------------------------------------------------


def names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a [^>]*><bdi>([^<]*)</bdi>', page)


def test_filters_stand_in_the_address_and_ask_no_server_again(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    route = rapidpro(
        FLOWS,
        json=page_of(
            flow(1, name="Fièvre", type="voice", labels=[]),
            flow(2, name="Malaria", archived=True),
            flow(3, name="Zinc", runs={}, modified_on="2020-01-01T00:00:00Z"),
        ),
    )
    wanted = {
        "?q=FIEVRE": ["Fièvre"],
        "?type=voice": ["Fièvre"],
        "?label=Nutrition&sort=name": ["Malaria", "Zinc"],
        "?archived=yes": ["Malaria"],
        "?no_runs=on": ["Zinc"],
        "?idle=300": ["Zinc"],
        "?rate_from=75&rate_to=75&sort=-name": ["Malaria", "Fièvre"],
        "?before=2020-01-02": ["Zinc"],
        "?created_after=2026-01-03": [],
        "?sort=-runs": ["Fièvre", "Malaria", "Zinc"],
    }
    assert {query: names(get(owner_client, token, query)) for query in wanted} == wanted
    assert route.call_count == 1


def test_options_carry_their_counts_and_stay_chosen(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1, type="voice"), flow(2), flow(3, archived=True)))
    page = get(owner_client, token, "?type=message&label=Gone")
    for option in (
        '<option value="message" selected>Messaging (0)</option>',
        '<option value="Nutrition">Nutrition (2)</option>',
        '<option value="Gone" selected>Gone (0)</option>',
        '<option value="yes">Archived (0)</option>',
    ):
        assert option in page
    assert "No flow fits these filters" in page
    assert "0 of 3 flows fit" in page


def test_headings_lead_to_both_orders_and_say_the_present_one(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(*map(flow, range(300))))
    page = get(owner_client, token, "?q=flow&sort=name&page=2")
    assert 'aria-sort="ascending"><a href="?q=flow&amp;sort=-name"' in page
    assert '<a href="?q=flow&amp;sort=-runs"' in page
    assert 'href="?q=flow&amp;sort=name&amp;page=1"' in page
    assert "Previous" in page
    assert "newest first" not in page
    assert 'aria-sort="descending"' in get(owner_client, token)


def test_problem_page_reloads_where_htmx_would_show_nothing(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, status=500, text="Server Error")
    address = f"/tokens/{token.pk}/flows/?q=x"
    assert owner_client.get(address, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert "HX-Refresh" not in owner_client.get(address).headers


def test_hostile_labels_are_escaped_in_the_options(
    owner_client: Client, owner: User, token: RapidProToken, rapidpro: Answer
) -> None:
    evil = '"><script>alert(1)</script>'
    rapidpro(FLOWS, json=page_of(flow(1, labels=[{"uuid": LABEL_UUID, "name": evil}], type=evil)))
    assert "<script>alert" not in get(owner_client, token, "?label=%22%3E%3Cscript%3Ealert(1)&q=%3Cscript%3Ealert(2)")


@pytest.mark.parametrize("data", [{}, {"sort": "-runs"}, {"sort": "bogus"}, {"q": "", "label": "", "page": "3"}])
def test_address_without_a_filter_is_read_as_the_form_reads_it(data: dict[str, str]) -> None:
    form = FlowFilterForm(data)
    assert form.is_valid()
    assert plain_query(data) == form.query()


@pytest.mark.parametrize("name", [name for name in FlowFilterForm.base_fields if name != "sort"])
def test_every_filter_goes_through_the_form(name: str) -> None:
    assert plain_query({name: "1"}) is None


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize(
    "data", [{}, {"q": '"><b>', "sort": "-runs"}, {"after": "yesterday", "no_runs": "on"}, {"rate_from": "101"}]
)
def test_fields_that_are_kept_are_those_that_the_form_renders(language: str, data: dict[str, str]) -> None:
    with translation.override(language):
        form = FlowFilterForm(data)
        for name, field in fields_of(form, data.get("sort", "")).items():
            shown = (field.label_tag, field.errors, field.widget)
            assert shown == (form[name].label_tag(), str(form[name].errors), str(form[name])), name
