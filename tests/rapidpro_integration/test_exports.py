"""Exports: exactly the filtered rows, harmless in a spreadsheet, in files that say what they are."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from zipfile import ZipFile

import pytest
import respx
from asgiref.sync import async_to_sync
from django.http import StreamingHttpResponse
from django.test import Client
from openpyxl import load_workbook

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration.exports import COLUMNS
from rapidpro_integration.models import RapidProToken
from tests.rapidpro_integration.test_flow_views import FLOWS, Answer, flow, page_of

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0", " =1", "＝1"]


def export(client: Client, token: RapidProToken, kind: str, query: str = "") -> bytes:
    response = client.get(f"/tokens/{token.pk}/flows/export/{kind}/{query}")
    assert response.status_code == 200
    return async_to_sync(whole)(response.streaming_content) if response.streaming else response.content


async def whole(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


def read(kind: str, content: bytes) -> list[dict[str, Any]]:
    if kind == "json":
        rows: list[dict[str, Any]] = json.loads(content)
        return rows
    if kind == "csv":
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    heading, *cells = load_workbook(io.BytesIO(content)).active.values
    return [dict(zip(heading, row, strict=True)) for row in cells]


@pytest.mark.parametrize("kind", ["csv", "json", "xlsx"])
def test_file_holds_the_filtered_rows_of_all_pages_in_the_pages_order(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, kind: str
) -> None:
    route = rapidpro(
        FLOWS, json=page_of(*(flow(number, type="voice" if number % 2 else None) for number in range(602)))
    )
    rows = read(kind, export(owner_client, token, kind, "?type=voice&sort=name&page=2"))
    assert [row["name"] for row in rows] == sorted(f"Flow {number}" for number in range(1, 602, 2))
    assert list(rows[0]) == list(COLUMNS)
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("csv", {"archived": "yes", "labels": "Nutrition", "runs": "8000", "completion_rate": "0.75"}),
        ("json", {"archived": True, "labels": ["Nutrition"], "runs": 8000, "completion_rate": 0.75}),
        ("xlsx", {"archived": "yes", "labels": "Nutrition", "runs": 8000, "completion_rate": 0.75}),
    ],
)
def test_values_are_what_each_format_can_count_with(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, kind: str, expected: dict[str, Any]
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1, archived=True, name="Fièvre 🌡")))
    (row,) = read(kind, export(owner_client, token, kind))
    # 22:30 UTC is 01:30 of the next day in the owner's Nairobi.
    expected |= {"uuid": flow(1)["uuid"], "name": "Fièvre 🌡", "modified_on": "2026-11-21T01:30:00+03:00"}
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize("kind", ["csv", "json", "xlsx"])
def test_flow_of_which_nothing_is_known_is_a_row_too(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, kind: str
) -> None:
    rapidpro(FLOWS, json=page_of({"uuid": flow(1)["uuid"]}))
    (row,) = read(kind, export(owner_client, token, kind))
    assert row["completion_rate"] in (None, "")
    assert row["created_on"] in (None, "")


@pytest.mark.parametrize("formula", FORMULAS)
def test_names_and_labels_are_no_formulas(
    owner_client: Client, token: RapidProToken, rapidpro: Answer, formula: str
) -> None:
    labels = [{"uuid": flow(1)["uuid"], "name": formula}]
    rapidpro(FLOWS, json=page_of(flow(1, name=formula, type=formula, labels=labels)))
    (row,) = read("csv", export(owner_client, token, "csv"))
    for column in ("name", "type", "labels"):
        assert row[column] == f"'{formula}"
    book = export(owner_client, token, "xlsx")
    (cells,) = list(load_workbook(io.BytesIO(book)).active.iter_rows(min_row=2))
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    assert cells[1].value == formula
    assert b"<f>" not in ZipFile(io.BytesIO(book)).read("xl/worksheets/sheet1.xml")


def test_xlsx_makes_no_links_and_cuts_what_no_cell_holds(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1, name="https://evil.example/"), flow(2, name="n" * 40_000)))
    book = export(owner_client, token, "xlsx")
    assert not [name for name in ZipFile(io.BytesIO(book)).namelist() if name.endswith(".rels") and "sheet" in name]
    assert [len(row["name"]) for row in read("xlsx", book)] == [21, 32_767]


def test_file_name_carries_workspace_date_and_zone(
    owner_client: Client, token: RapidProToken, rapidpro: Answer
) -> None:
    rapidpro(FLOWS, json=page_of(flow(1)))
    RapidProToken.objects.update(workspace_name='Santé "x"/../\r\nSet-Cookie: a=b')
    response = owner_client.get(f"/tokens/{token.pk}/flows/export/csv/")
    disposition = response.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename*=utf-8''flows-Sant%C3%A9-x-..-Set-Cookie-a-b-2")
    assert disposition.endswith("-Africa-Nairobi.csv")
    assert isinstance(response, StreamingHttpResponse)


def test_export_is_in_the_log_of_the_owner(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of(flow(1), flow(2)))
    export(owner_client, token, "json", "?q=1")
    entry = AuditEntry.objects.get(action=Action.FLOWS_EXPORTED)
    assert (entry.owner_id, entry.token_id, entry.details) == (token.owner_id, token.pk, {"format": "json", "flows": 1})
    assert "Flows exported" in owner_client.get("/accounts/log/").content.decode()


def test_bad_filter_leads_back_to_the_page_that_says_so(
    owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    response = owner_client.get(f"/tokens/{token.pk}/flows/export/csv/?idle=x&q=a")
    assert response.headers["Location"] == f"/tokens/{token.pk}/flows/?idle=x&q=a"
    assert not respx_mock.calls


def test_nobody_else_gets_the_file_and_no_other_kind_exists(
    client: Client, other: User, owner_client: Client, token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    assert owner_client.get(f"/tokens/{token.pk}/flows/export/exe/").status_code == 404
    thief = Client()
    thief.force_login(other)
    assert thief.get(f"/tokens/{token.pk}/flows/export/csv/").status_code == 404
    assert Client().get(f"/tokens/{token.pk}/flows/export/csv/").status_code == 302
    assert not respx_mock.calls


def test_problem_has_its_page(owner_client: Client, token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, status=500, text="Server Error")
    response = owner_client.get(f"/tokens/{token.pk}/flows/export/xlsx/")
    assert response.status_code == 502
    assert "The server broke on this request" in response.content.decode()
    assert not AuditEntry.objects.filter(action=Action.FLOWS_EXPORTED).exists()
