"""People read the log of their own account and tokens; staff read all of it; nobody changes it."""

import csv
import io
from uuid import uuid4

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client

from accounts.audit import selectors
from accounts.audit.actions import Action, Outcome
from accounts.audit.context import Source
from accounts.audit.exporting import neutral
from accounts.audit.models import AuditEntry
from accounts.audit.services import arecord, record
from accounts.models import User
from rapidpro_integration.models import RapidProToken
from tests.accounts.test_accounts import assert_site_look, text
from tests.conftest import just_proved

ADMIN = "/admin/accounts/auditentry/"


@pytest.fixture
def used(owner: User, token: RapidProToken) -> AuditEntry:
    """Return the entry of a use of the owner's token by the owner."""
    by = Source(owner.pk, "owner@example.org", "192.0.2.7", "Mozilla/5.0", "0A1B2C3D")
    return record(Action.TOKEN_OPENED, token=token, by=by, count=3, details={"purpose": "flows"})


def test_owner_reads_what_was_done_with_account_and_tokens(owner_client: Client, used: AuditEntry) -> None:
    page = text(owner_client, "/accounts/log/")
    for words in ("Token used", "3 times", "Clinics", "You", "192.0.2.7", "list of flows", "0A1B2C3D", "Account made"):
        assert words in page
    assert_site_look(owner_client, "/accounts/log/")


def test_times_are_the_owners_with_utc_beside(owner_client: Client, used: AuditEntry) -> None:
    page = text(owner_client, "/accounts/log/")
    assert f'title="{used.when:%Y-%m-%d %H:%M:%S} UTC"' in page
    assert f"{(used.when.hour + 3) % 24:02}:{used.when:%M}</time>" in page


def test_log_of_one_token_holds_only_that(owner_client: Client, used: AuditEntry) -> None:
    page = text(owner_client, f"/accounts/log/?token={used.token_id}")
    assert "Token used" in page
    assert "Account made" not in page
    assert f"/accounts/log/?token={used.token_id}" in text(owner_client, f"/tokens/{used.token_id}/")


def test_other_person_reads_nothing_of_it(client: Client, other: User, used: AuditEntry) -> None:
    client.force_login(other)
    assert "Clinics" not in text(client, "/accounts/log/")
    foreign, unknown = (text(client, f"/accounts/log/?token={key}") for key in (used.token_id, uuid4()))
    assert "Nothing is written here yet" in foreign
    assert foreign == unknown
    assert "Clinics" not in foreign


@pytest.mark.parametrize("path", ["/accounts/log/?token=nonsense", "/accounts/log.csv?token=nonsense"])
def test_nonsense_for_a_token_is_a_404(owner_client: Client, path: str) -> None:
    text(owner_client, path, 404)


def test_address_of_staff_is_not_shown_to_the_owner(
    owner_client: Client, owner: User, staff: User, token: RapidProToken
) -> None:
    record(Action.FACTS_VIEWED, token=token, by=Source(staff.pk, "Sita Staff", "198.51.100.9", "Secret Browser"))
    record(Action.SIGN_IN_FAILED, owner=owner, by=Source(None, "", "203.0.113.5"), outcome=Outcome.REFUSED)
    page = text(owner_client, "/accounts/log/")
    assert "Sita Staff" in page
    assert "198.51.100.9" not in page
    assert "Secret Browser" not in page
    assert "203.0.113.5" in page
    assert "Nobody who was signed in" in page


def test_log_is_paged(owner_client: Client, owner: User) -> None:
    for _ in range(selectors.ROWS_A_PAGE + 5):
        record(Action.SIGNED_OUT, owner=owner)
    assert 'rel="next"' in text(owner_client, "/accounts/log/")
    second = text(owner_client, "/accounts/log/?page=2")
    assert 'rel="prev"' in second
    assert "Account made" in second
    assert "Account made" in text(owner_client, "/accounts/log/?page=999")


def test_page_asks_the_database_a_few_questions_whatever_its_length(
    owner_client: Client, owner: User, django_assert_max_num_queries: object
) -> None:
    for _ in range(30):
        record(Action.SIGNED_OUT, owner=owner)
    with django_assert_max_num_queries(4):  # type: ignore[operator]
        text(owner_client, "/accounts/log/")


# --- CSV ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", '=HYPERLINK("x")'])
def test_formula_is_neutral(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Clinics", "a=b", "2026-11-24", "'x"])
def test_other_text_stays_as_it_is(cell: str) -> None:
    assert neutral(cell) == cell


async def content(response: StreamingHttpResponse) -> list[dict[str, str]]:
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    parts = [part async for part in response]
    assert len(parts) > 1, "not streamed"
    return list(csv.DictReader(io.StringIO(b"".join(parts).decode("utf-8-sig"))))


async def test_owner_downloads_the_own_log_without_addresses_of_others(
    async_client: AsyncClient, owner: User, other: User, token: RapidProToken
) -> None:
    token.label = "=cmd|'/c calc'!A1"
    await arecord(Action.TOKEN_RENAMED, token=token, by=Source(other.pk, "Other", "198.51.100.9"))
    await arecord(Action.SIGNED_IN, owner=other, by=other)
    await async_client.aforce_login(owner)
    rows = await content(await async_client.get("/accounts/log.csv"))
    assert [row["action"] for row in rows] == ["log_exported", "signed_in", "token_renamed", "account_made"]
    renamed = rows[2]
    assert renamed["token_label"] == "'=cmd|'/c calc'!A1"
    assert (renamed["address"], "mac" in renamed) == ("", False)
    assert {row["owner_id"] for row in rows} == {str(owner.pk)}
    rows = await content(await async_client.get(f"/accounts/log.csv?token={token.pk}"))
    assert [row["action"] for row in rows] == ["token_renamed"]


async def test_staff_export_what_they_chose_and_that_is_written(
    async_client: AsyncClient, staff: User, used: AuditEntry
) -> None:
    await async_client.aforce_login(staff)
    data = {"action": "export_csv", "_selected_action": [str(used.pk)]}
    rows = await content(await async_client.post(ADMIN, data))
    assert [(row["number"], row["address"], row["mac"]) for row in rows] == [(str(used.pk), "192.0.2.7", used.mac)]
    exported = await AuditEntry.objects.aget(action=Action.LOG_EXPORTED)
    assert (exported.actor_id, exported.details) == (staff.pk, {"entries": 1})


# --- Admin --------------------------------------------------------------------------------------


def test_staff_find_entries_by_everything(client: Client, staff: User, used: AuditEntry) -> None:
    client.force_login(staff)
    for query in (
        "q=owner@example.org",
        f"q={used.token_id}",
        "q=0A1B2C3D",
        "q=192.0.2.7",
        "action__exact=token_opened",
        "outcome__exact=done",
        f"when__year={used.when.year}",
    ):
        assert "Token used" in text(client, f"{ADMIN}?{query}"), query
    assert "Token used · × 3" in text(client, ADMIN)
    assert 'class="field-what">Token used' not in text(client, f"{ADMIN}?action__exact=signed_out")
    assert "0A1B2C3D" in text(client, f"{ADMIN}{used.pk}/change/")


def test_list_tells_who_and_whose(client: Client, staff: User, owner: User) -> None:
    record(Action.PASSWORD_CHANGED, owner=owner, by=staff)
    record(Action.SIGN_IN_FAILED, owner=owner, by=Source(None, ""))
    client.force_login(staff)
    page = text(client, ADMIN)
    for words in ("staff@example.org → owner@example.org", "– → owner@example.org", ">staff@example.org<"):
        assert words in page


def test_nobody_changes_the_log_in_the_admin(client: Client, staff: User, used: AuditEntry) -> None:
    client.force_login(staff)
    for path in ("add/", f"{used.pk}/delete/"):
        assert client.get(ADMIN + path).status_code == 403
        assert client.post(ADMIN + path, {"post": "yes"}).status_code == 403
    assert client.post(f"{ADMIN}{used.pk}/change/", {"actor_name": "x"}).status_code == 403
    client.post(ADMIN, {"action": "delete_selected", "_selected_action": [str(used.pk)], "post": "yes"})
    assert AuditEntry.objects.get(pk=used.pk).actor_name == used.actor_name


def test_log_is_closed_to_staff_without_the_right_and_to_people(owner_client: Client, owner: User) -> None:
    assert owner_client.get(ADMIN).status_code in {302, 403}
    owner.is_staff = True
    owner.save()
    TOTP.activate(owner, generate_totp_secret())
    just_proved(owner_client, owner)
    assert owner_client.get(ADMIN).status_code == 403
