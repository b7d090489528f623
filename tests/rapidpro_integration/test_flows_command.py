"""`manage.py flows`: what it prints and writes, how it exits, and that it goes the way of the pages."""

import csv
import io
import json
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unicodedata import category
from uuid import uuid4

import pytest
import respx
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from openpyxl import load_workbook

from accounts.audit.actions import Action
from accounts.audit.models import AuditEntry
from accounts.models import User
from rapidpro_integration import kept, output_files
from rapidpro_integration.client.errors import Kind
from rapidpro_integration.exports import COLUMNS
from rapidpro_integration.kept import KeptFlows
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.output_files import OutputRefused
from rapidpro_integration.sandbox.tokens import TOKENS
from tests.conftest import SECRET, SERVER, TokenMaker
from tests.rapidpro_integration.served import served
from tests.rapidpro_integration.test_flow_views import FLOWS, PROBLEM_ANSWERS, Answer, flow, page_of
from tests.rapidpro_integration.test_picture_views import Serve, serve
from tests.rapidpro_integration.test_tokens_command import Terminal

__all__ = ["serve"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_local", kept._Local())


def run(
    *arguments: str, out: io.StringIO | None = None, err: io.StringIO | None = None, **options: Any
) -> tuple[int, str, str]:
    """Return the exit code, what was printed, and the errors with the last sentence. No secret may be in any."""
    out, err = out or io.StringIO(newline=""), err or io.StringIO()
    code, last = 0, ""
    try:
        call_command("flows", *arguments, stdout=out, stderr=err, no_color=True, **options)
    except CommandError as error:
        code, last = error.returncode, str(error)
    assert SECRET not in out.getvalue() + err.getvalue() + last
    return code, out.getvalue(), err.getvalue() + last


def uuid_of(number: int) -> str:
    return str(flow(number)["uuid"])


@pytest.fixture
def three(rapidpro: Answer) -> respx.Route:
    """Let the server have three flows: one archived, one without runs."""
    no_runs = dict.fromkeys(("active", "waiting", "completed", "expired", "interrupted", "failed"), 0)
    rows = [
        flow(1, name="Malária tracker", created_on="2026-01-03T00:00:00Z"),
        flow(2, name="Old poll", archived=True, created_on="2026-01-01T00:00:00Z", labels=[]),
        flow(3, name="=1+1", runs=no_runs, type="voice", modified_on="2026-03-01T21:30:00Z"),
    ]
    return rapidpro(FLOWS, json=page_of(*rows))


# --- list ---------------------------------------------------------------------------------------


def test_list_prints_a_table_in_the_owners_zone(token: RapidProToken, three: respx.Route) -> None:
    code, out, err = run("list", "--token", str(token.pk))
    assert code == 0
    heading, *lines = out.splitlines()
    assert heading.split() == ["UUID", "TYPE", "RUNS", "DONE", "MODIFIED", "NAME"]
    assert [line.split()[0] for line in lines] == [uuid_of(1), uuid_of(3), uuid_of(2)]
    # 21:30 UTC is half past midnight of the next day in Nairobi.
    assert "2026-03-02 00:30" in lines[1]
    assert lines[2].endswith("Old poll [archived]")
    assert lines[0].endswith("Malária tracker [Nutrition]")
    assert "3 of 3 flows, as of 20" in err
    assert "EAT" in err
    assert "2026-03-01 21:30" in run("list", "--token", str(token.pk), "--zone", "UTC")[1]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--name", "malaria"], [1]),
        (["--name", "nutrition"], []),
        (["--name", "nutrition", "--labels-too"], [1, 3]),
        (["--label", "Nutrition"], [1, 3]),
        (["--type", "voice"], [3]),
        (["--archived", "yes"], [2]),
        (["--archived", "no"], [1, 3]),
        (["--no-runs"], [3]),
        (["--completed-from", "75"], [1, 2]),
        (["--completed-to", "74"], []),
        (["--modified-after", "2026-03-02", "--modified-before", "2026-03-02"], [3]),
        (["--modified-after", "2026-03-02", "--modified-before", "2026-03-02", "--zone", "UTC"], []),
        (["--created-after", "2026-01-03"], [1]),
        (["--created-before", "2026-01-02"], [3, 2]),
        (["--idle", "1"], [3]),
        (["--sort", "name"], [3, 1, 2]),
        (["--sort=-name"], [2, 1, 3]),
    ],
)
def test_filters_are_those_of_the_page(
    token: RapidProToken, three: respx.Route, options: list[str], numbers: list[int]
) -> None:
    code, out, _ = run("list", "--token", str(token.pk), "--format", "json", *options)
    assert code == 0
    assert [row["uuid"] for row in json.loads(out)] == list(map(uuid_of, numbers))


def test_csv_is_neutral_and_has_the_columns_of_the_page(token: RapidProToken, three: respx.Route) -> None:
    out = run("list", "--token", str(token.pk), "--format", "csv")[1]
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == list(COLUMNS)
    assert rows[1]["name"] == "'=1+1"


def test_a_names_escape_sequences_do_not_reach_the_terminal(token: RapidProToken, rapidpro: Answer) -> None:
    hostile = "a\x1b]0;owned\x07\x9b2J\u202eb\nc"
    rapidpro(FLOWS, json=page_of(flow(1, name=hostile, labels=[{"uuid": None, "name": hostile}])))
    for arguments in (["list"], ["show", uuid_of(1)]):
        out = run(*arguments, "--token", str(token.pk))[1]
        assert "owned" in out
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(out)
    assert len(run("list", "--token", str(token.pk))[1].splitlines()) == 2


def names_in_csv(text: str) -> list[str]:
    return [row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def names_in_json(text: str) -> list[str]:
    return [row["name"] for row in json.loads(text)]


@pytest.mark.parametrize(("kind", "names"), [("csv", names_in_csv), ("json", names_in_json)])
def test_rows_for_a_program_come_as_they_are_but_a_terminal_gets_nothing_that_it_would_obey(
    token: RapidProToken, rapidpro: Answer, kind: str, names: Callable[[str], list[str]]
) -> None:
    hostile = "a\x1b]0;owned\x07\x9b2J\x7f\x85\rb\nç"
    rapidpro(FLOWS, json=page_of(flow(1, name=hostile)))
    arguments = ["list", "--token", str(token.pk), "--format", kind]
    piped = run(*arguments)[1]
    assert names(piped) == [hostile]
    shown = run(*arguments, out=Terminal(newline=""))[1]
    assert {one for one in shown.replace("\r\n", "\n") if category(one) == "Cc"} == {"\n"}
    assert "\ufffd" in shown
    # Nothing else is another.
    assert [one for one, sent in zip(shown, piped, strict=True) if one not in {sent, "\ufffd"}] == []


def test_list_is_written_down_and_kept_for_the_pages(
    owner_client: Client, token: RapidProToken, three: respx.Route
) -> None:
    run("list", "--token", str(token.pk), "--type", "voice")
    opened = AuditEntry.objects.get(action=Action.TOKEN_OPENED)
    assert (opened.actor_name, opened.details) == ("manage.py flows list", {"purpose": "flows"})
    exported = AuditEntry.objects.get(action=Action.FLOWS_EXPORTED)
    assert exported.details == {"format": "text", "flows": 1}
    assert exported.owner_id == token.owner_id
    token.refresh_from_db(fields=["last_used_on"])
    assert token.last_used_on is not None
    # The page, and the next run, need no request; --fresh asks.
    assert "Old poll" in owner_client.get(f"/tokens/{token.pk}/flows/").content.decode()
    run("list", "--token", str(token.pk))
    assert three.call_count == 1
    run("list", "--token", str(token.pk), "--fresh")
    assert three.call_count == 2
    old = kept.get(token)
    assert old is not None
    kept.put(token, KeptFlows(old.rows, 0, "", timezone.now() - timedelta(hours=1)))
    run("list", "--token", str(token.pk))
    assert three.call_count == 3


def test_progress_is_a_bar_once_the_number_is_known_and_quiet_on_demand(
    token: RapidProToken, three: respx.Route
) -> None:
    first = run("list", "--token", str(token.pk), err=Terminal())[2]
    assert first.startswith("\r3 so far\n")
    second = run("list", "--token", str(token.pk), "--fresh", err=Terminal())[2]
    assert second.startswith("\r[##############################] 3 of 3\n")
    assert run("list", "--token", str(token.pk), "--fresh", "--quiet")[2] == ""


# --- export, and files --------------------------------------------------------------------------


def test_export_saves_under_the_pages_name(
    token: RapidProToken, three: respx.Route, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("export", "--token", str(token.pk), "--archived", "no")[:2] == (0, "")
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("flows-Nutrition-20")
    assert file.name.endswith("-Africa-Nairobi.csv")
    assert file.read_bytes().startswith(b"\xef\xbb\xbf"), "a spreadsheet reads UTF-8 by this mark"
    assert len(file.read_text("utf-8").splitlines()) == 3
    code, _, err = run("export", "--token", str(token.pk), "--archived", "no")
    assert code == 2
    assert "is there already; --force overwrites it." in err
    assert run("export", "--token", str(token.pk), "--force")[0] == 0
    assert len(file.read_text("utf-8").splitlines()) == 4
    assert AuditEntry.objects.filter(action=Action.FLOWS_EXPORTED, details__format="csv").count() >= 2


def test_spreadsheet_opens_again(token: RapidProToken, three: respx.Route, tmp_path: Path) -> None:
    file = tmp_path / "flows.xlsx"
    assert run("export", "--token", str(token.pk), "--format", "xlsx", "--output", str(file))[0] == 0
    heading, *rows = load_workbook(file).active.values
    assert list(heading) == list(COLUMNS)
    assert [row[1] for row in rows] == ["Malária tracker", "=1+1", "Old poll"]


def test_file_is_refused_before_anything_is_asked(token: RapidProToken, three: respx.Route, tmp_path: Path) -> None:
    there = tmp_path / "flows.json"
    there.write_text("mine")
    for output in (there, tmp_path, tmp_path / "no" / "folder"):
        code, out, _ = run("list", "--token", str(token.pk), "--output", str(output))
        assert (code, out) == (2, "")
    assert there.read_text() == "mine"
    assert not three.called
    arguments = ["list", "--token", str(token.pk), "--format", "json", "--output", str(there)]
    assert run(*arguments, "--force")[:2] == (0, "")
    assert len(json.loads(there.read_text("utf-8"))) == 3
    assert list(tmp_path.iterdir()) == [there]


def test_what_fails_on_the_way_leaves_the_old_file(tmp_path: Path) -> None:
    there = tmp_path / "flows"
    there.write_text("old")

    def parts() -> Iterator[str]:
        yield "new"
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        output_files.write(there, parts(), force=True)
    with pytest.raises(OutputRefused):
        output_files.write(there, ["new"], force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["flows"]
    assert there.read_text() == "old"


def test_a_device_is_written_to_and_never_replaced(token: RapidProToken, three: respx.Route) -> None:
    null = Path("/dev/null")
    assert run("list", "--token", str(token.pk), "--output", "/dev/null")[0] == 2
    assert run("list", "--token", str(token.pk), "--output", "/dev/null", "--force")[0] == 0
    assert stat.S_ISCHR(null.stat().st_mode)


def test_file_of_somebody_else_that_comes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "flows"

    def parts() -> Iterator[str]:
        path.write_text("theirs")
        yield "mine"

    with pytest.raises(OutputRefused, match="has appeared meanwhile"):
        output_files.write(path, parts(), force=False)
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


# --- show and picture ---------------------------------------------------------------------------


def test_show_tells_each_fact(token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of(flow(1)))
    code, out, _ = run("show", "--token", str(token.pk), uuid_of(1))
    assert code == 0
    for fact in (
        "Flow 1",
        uuid_of(1),
        "Messaging",
        "Nutrition",
        "8,000",
        "75 %",
        "after 720 minutes",
        "Age (age): Child",
    ):
        assert fact in out
    assert json.loads(run("show", "--token", str(token.pk), uuid_of(1), "--format", "json")[1]) == flow(1)
    (row,) = csv.DictReader(io.StringIO(run("show", "--token", str(token.pk), uuid_of(1), "--format", "csv")[1]))
    assert row["runs"] == "8000"
    opened = AuditEntry.objects.get(action=Action.TOKEN_OPENED)
    assert (opened.actor_name, opened.details) == ("manage.py flows show", {"purpose": "flow"})


def test_picture_and_script_and_definition(token: RapidProToken, serve: Serve, tmp_path: Path) -> None:
    uuid = serve().split("/")[-2]
    file = tmp_path / "welcome.svg"
    assert run("picture", "--token", str(token.pk), uuid, "--output", str(file))[:2] == (0, "")
    drawing = file.read_text("utf-8")
    assert drawing.startswith("<?xml")
    assert drawing.count('<g class="step"') == 4
    code, script, _ = run("picture", "--token", str(token.pk), uuid, "--format", "text")
    assert code == 0
    assert "Step 1\n" in script
    assert "-> step 2" in script
    assert "-> the end" in script
    exported = json.loads(run("show", "--token", str(token.pk), uuid, "--format", "definition")[1])
    assert [each["uuid"] for each in exported["flows"]] == [uuid]
    opened = AuditEntry.objects.filter(action=Action.TOKEN_OPENED)
    assert set(opened.values_list("details__purpose", flat=True)) == {"definition"}
    code, _, err = run("picture", "--token", str(token.pk), uuid, "--language", "xxx")
    assert code == 2
    assert "--language: the flow has " in err


def test_flow_that_cannot_be_drawn_is_one_sentence(token: RapidProToken, serve: Serve) -> None:
    uuid = serve(definition={"nodes": []}).split("/")[-2]
    code, out, err = run("picture", "--token", str(token.pk), uuid)
    assert (code, out) == (1, "")
    assert "This flow has no steps yet. There is nothing to draw." in err


@pytest.mark.parametrize("subcommand", ["show", "picture"])
def test_flow_that_is_not_there(token: RapidProToken, rapidpro: Answer, subcommand: str) -> None:
    rapidpro(FLOWS, json=page_of())
    code, out, err = run(subcommand, "--token", str(token.pk), str(uuid4()))
    assert (code, out, err) == (1, "", "The workspace has no flow of this uuid.")
    code, _, err = run(subcommand, "--token", str(token.pk), "Clinics")
    assert code == 2
    assert "'Clinics' is not the id of a flow" in err


# --- What stands in the way ---------------------------------------------------------------------


def test_token_that_is_malformed_or_unknown(token: RapidProToken, respx_mock: respx.MockRouter) -> None:
    code, _, err = run("list", "--token", "Clinics")
    assert (code, err) == (2, "--token: 'Clinics' is not the id of a token, a UUID.")
    code, _, err = run("list", "--token", str(uuid4()))
    assert code == 3
    assert "There is no token of this id" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--modified-after", "yesterday"], "--modified-after: "),
        (["--completed-from", "101"], "--completed-from: "),
        (["--archived", "perhaps"], "--archived: "),
        (["--sort", "colour"], "--sort: 'colour' is no column."),
        (["--zone", "Mars/Olympus"], "--zone: 'Mars/Olympus' is no time zone"),
        (["--created-after", "2026-01-02", "--created-before", "2026-01-01"], "--created-before: The last day"),
    ],
)
def test_wrong_option_is_named_and_asks_nothing(
    token: RapidProToken, three: respx.Route, options: list[str], words: str
) -> None:
    code, out, err = run("list", "--token", str(token.pk), *options)
    assert (code, out) == (2, "")
    assert err.startswith(words)
    assert not three.called


@pytest.mark.parametrize("state", [TokenState.DISABLED, "locked", "closed"])
def test_token_that_may_not_be_used_sends_nothing(
    owner: User, make_token: TokenMaker, three: respx.Route, state: str
) -> None:
    token = make_token(owner)
    changes = {
        TokenState.DISABLED: {"state": TokenState.DISABLED},
        "locked": {"sealed": "v1.k1.AAAA"},
        "closed": {"server": "https://closed.example"},
    }
    RapidProToken.objects.filter(pk=token.pk).update(**changes[state])
    for arguments in (["list"], ["show", uuid_of(1)], ["picture", uuid_of(1)]):
        code, out, err = run(*arguments, "--token", str(token.pk))
        assert (code, out) == (3, "")
        assert ("disabled" in err) == (state == TokenState.DISABLED)
    assert not three.called
    assert not AuditEntry.objects.filter(action=Action.TOKEN_OPENED).exists()


@pytest.mark.parametrize(("answer", "kind"), PROBLEM_ANSWERS)
def test_each_problem_is_a_sentence_and_a_code(
    token: RapidProToken, rapidpro: Answer, kind: Kind, answer: dict[str, Any]
) -> None:
    rapidpro(FLOWS, **answer)
    code, out, err = run("list", "--token", str(token.pk))
    refused = kind in {Kind.REJECTED, Kind.NOT_ALLOWED}
    assert (code, out) == (3 if refused else 1, "")
    assert "reference " in err
    token.refresh_from_db(fields=["state"])
    assert (token.state == TokenState.WORKING) == (not refused)


def test_part_of_a_list_is_written_and_said_to_be_one(
    token: RapidProToken, respx_mock: respx.MockRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = page_of(flow(1), flow(2), following=f"{SERVER}/api/v2/flows.json?cursor=b")
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}", params={"cursor": "b"}).respond(500)
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").respond(json=following)
    code, out, err = run("list", "--token", str(token.pk), "--format", "json")
    assert code == 4
    assert len(json.loads(out)) == 2
    assert "The list is not whole (The server broke on this request): 2 flows came" in err
    assert kept.get(token) is None, "a part is nothing for the pages"
    monkeypatch.chdir(tmp_path)
    assert run("export", "--token", str(token.pk))[0] == 4
    assert "-incomplete-" in next(tmp_path.iterdir()).name


def test_refusal_in_the_middle_writes_nothing_and_drops_what_was_kept(
    token: RapidProToken, respx_mock: respx.MockRouter
) -> None:
    kept.put(token, KeptFlows((), 0, "", timezone.now() - timedelta(hours=1)))
    following = page_of(flow(1), following=f"{SERVER}/api/v2/flows.json?cursor=b")
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}", params={"cursor": "b"}).respond(403, json={"detail": "Invalid token"})
    respx_mock.get(f"{SERVER}/api/v2/{FLOWS}").respond(json=following)
    assert run("list", "--token", str(token.pk))[:2] == (3, "")
    assert kept.get(token) is None


def test_row_that_cannot_be_read_is_told(token: RapidProToken, rapidpro: Answer) -> None:
    rapidpro(FLOWS, json=page_of(flow(1), {"name": "without a uuid"}))
    code, out, err = run("list", "--token", str(token.pk), "--format", "json")
    assert (code, len(json.loads(out))) == (4, 1)
    assert "1 flows could not be read" in err


# --- For real -----------------------------------------------------------------------------------


def test_whole_large_list_of_the_sandbox(owner: User, make_token: TokenMaker, settings: Any, tmp_path: Path) -> None:
    with served() as sandbox:
        settings.SANDBOX_ORIGIN, settings.RAPIDPRO_SERVERS = sandbox.origin, [sandbox.origin]
        token = make_token(owner, secret=TOKENS["national"].secret, server=sandbox.origin)
        file = tmp_path / "all.json"
        code, _, err = run("export", "--token", str(token.pk), "--format", "json", "--output", str(file))
    assert code == 0
    assert f"2,600 flows, as of {timezone.now():%Y}" in err
    assert "1,000 so far\n2,000 so far\n" in err
    assert len(json.loads(file.read_text("utf-8"))) == 2_600
    assert TOKENS["national"].secret not in file.read_text("utf-8") + err


class _Hanging(BaseHTTPRequestHandler):
    """A RapidPro that answers the first page; while it is asked for the second one, somebody presses Ctrl-C."""

    let_go = threading.Event()

    def do_GET(self) -> None:
        if "cursor" in self.path:
            os.kill(os.getpid(), signal.SIGINT)
            self.let_go.wait(30)
            return
        following = f"http://{self.headers['Host']}/api/v2/flows.json?cursor=b"
        body = json.dumps(page_of(flow(1), following=following)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def test_ctrl_c_ends_a_run_that_hangs_and_writes_nothing(
    owner: User, make_token: TokenMaker, settings: Any, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hanging) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            origin = f"http://127.0.0.1:{server.server_port}"
            settings.SANDBOX_ORIGIN, settings.RAPIDPRO_SERVERS = origin, [origin]
            token = make_token(owner, server=origin)
            code, out, err = run("list", "--token", str(token.pk), "--output", str(tmp_path / "flows"))
        finally:
            _Hanging.let_go.set()
            server.shutdown()
            thread.join()
    assert (code, out, err) == (130, "", "Stopped. Nothing was written.")
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is before
