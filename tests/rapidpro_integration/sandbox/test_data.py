import json
import subprocess
import sys
from collections import Counter
from datetime import datetime

import pytest

from rapidpro_integration.sandbox.clinics import clinics
from rapidpro_integration.sandbox.data import load
from rapidpro_integration.sandbox.definitions import definition
from rapidpro_integration.sandbox.errors import ServerFailure
from rapidpro_integration.sandbox.exports import export
from rapidpro_integration.sandbox.generated import districts, national
from rapidpro_integration.sandbox.model import NOW, Workspace
from rapidpro_integration.sandbox.people import contacts
from rapidpro_integration.sandbox.runs import runs
from rapidpro_integration.sandbox.tokens import TOKENS, find_token

LARGE = ("clinics", "districts", "national")


@pytest.mark.parametrize(("slug", "count"), [("clinics", 12), ("districts", 251), ("national", 2600)])
def test_workspaces_have_the_promised_number_of_flows(slug: str, count: int) -> None:
    assert len(load()[slug].tables["flows"]) == count


@pytest.mark.parametrize("make", [clinics, districts, national])
def test_the_data_is_the_same_each_time(make: type[Workspace]) -> None:
    first, second = make(), make()

    assert [row.body for row in first.tables["flows"]] == [row.body for row in second.tables["flows"]]
    assert [definition(script) for script in first.scripts.values()] == [
        definition(script) for script in second.scripts.values()
    ]


def test_the_data_is_the_same_in_another_process() -> None:
    # Another hash seed shows at once whether anything follows the order of a set.
    code = (
        "import hashlib, json\n"
        "from rapidpro_integration.sandbox.data import load\n"
        "from rapidpro_integration.sandbox.endpoints import ENDPOINTS\n"
        "from rapidpro_integration.sandbox.lists import rows_of\n"
        "bodies = [row.body for name in ENDPOINTS for row in rows_of(load()['national'], name)]\n"
        "assert len(bodies) > 8000\n"
        "print(hashlib.sha256(json.dumps(bodies).encode()).hexdigest())\n"
    )

    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PATH": ""}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(digests) == 1


def test_no_two_flows_share_a_uuid() -> None:
    uuids = [row.body["uuid"] for workspace in load().values() for row in workspace.tables["flows"]]

    assert len(set(uuids)) == len(uuids)


def test_nothing_was_changed_before_it_was_made_or_after_the_fixed_now() -> None:
    for workspace in load().values():
        for row in workspace.tables["flows"]:
            assert row.created_on <= row.modified_on <= NOW


def test_the_large_workspace_holds_what_breaks_pages() -> None:
    names = [row.body["name"] for row in load()["national"].tables["flows"]]

    assert "" in names
    assert any("<script>" in name for name in names)
    assert any("\u202e" in name for name in names)
    assert max(len(name) for name in names) == 200
    assert any(len(name) == 200 for name in names[:250])


def test_the_large_workspace_holds_all_kinds_of_flows() -> None:
    bodies = [row.body for row in load()["national"].tables["flows"]]

    assert {body["type"] for body in bodies} == {"message", "voice", "background", "survey", None}
    assert 50 < sum(body["archived"] for body in bodies) < 250
    assert max(sum(body["runs"].values()) for body in bodies) > 300_000
    assert sum(not any(body["runs"].values()) for body in bodies) > 100
    assert any(body["parent_refs"] for body in bodies)
    assert any("." not in body["modified_on"] for body in bodies)
    assert max(Counter(body["created_on"] for body in bodies).values()) > 250


def test_counts_of_runs_are_never_negative() -> None:
    for workspace in load().values():
        assert all(count >= 0 for row in workspace.tables["flows"] for count in row.body["runs"].values())


def test_labels_of_flows_are_labels_of_the_workspace() -> None:
    for workspace in load().values():
        known = {row.body["uuid"]: row.body["name"] for row in workspace.tables["labels"]}
        for row in workspace.tables["flows"]:
            assert all(known[label["uuid"]] == label["name"] for label in row.body["labels"])


@pytest.mark.parametrize("slug", LARGE)
def test_every_definition_holds_together(slug: str) -> None:
    workspace = load()[slug]
    rows = {row.body["uuid"]: row.body for row in workspace.tables["flows"]}
    for script in workspace.scripts.values():
        flow = json.loads(json.dumps(definition(script)))
        nodes = [node["uuid"] for node in flow["nodes"]]
        exits = [exit_ for node in flow["nodes"] for exit_ in node["exits"]]
        assert len(set(nodes)) == len(nodes)
        assert set(flow["_ui"]["nodes"]) == set(nodes)
        assert {exit_["destination_uuid"] for exit_ in exits} <= {*nodes, None}
        assert any(exit_["destination_uuid"] is None for exit_ in exits)
        for node in flow["nodes"]:
            if "router" in node:
                categories = node["router"]["categories"]
                assert [one["exit_uuid"] for one in categories] == [one["uuid"] for one in node["exits"]]
                assert {case["category_uuid"] for case in node["router"]["cases"]} <= {
                    one["uuid"] for one in categories
                }
        for result in rows[script.flow_uuid]["results"]:
            assert set(result["node_uuids"]) <= set(nodes)


def test_the_small_workspace_speaks_two_languages() -> None:
    flows = [definition(script) for script in load()["clinics"].scripts.values()]

    assert {flow["language"] for flow in flows} == {"ara"}
    assert sum("eng" in flow["localization"] for flow in flows) >= 10


def test_an_export_brings_what_the_flow_needs() -> None:
    workspace = load()["clinics"]
    by_name = {row.body["name"]: row.body["uuid"] for row in workspace.tables["flows"]}
    wanted, child = by_name["تسجيل أم جديدة (Registration)"], by_name["المتابعة أثناء الحمل"]

    alone = export(workspace, [wanted], [], "none")
    together = export(workspace, [wanted, wanted], [], "all")
    flows_only = export(workspace, [wanted], [], "flows")

    assert [flow["uuid"] for flow in alone["flows"]] == [wanted]
    assert alone["groups"] == alone["fields"] == flows_only["groups"] == []
    assert (
        [flow["uuid"] for flow in together["flows"]]
        == [child, wanted]
        == [flow["uuid"] for flow in flows_only["flows"]]
    )
    known = {row.body["uuid"] for row in workspace.tables["groups"]}
    assert {group["uuid"] for group in together["groups"]} <= known
    assert [field["key"] for field in together["fields"]] == ["full_name"]


def test_an_export_of_an_unknown_flow_is_empty_and_of_one_without_revision_breaks() -> None:
    workspace = load()["clinics"]
    menu = next(row.body["uuid"] for row in workspace.tables["flows"] if row.body["type"] is None)

    assert export(workspace, ["00000000-0000-4000-8000-000000000000"], [], "all")["flows"] == []
    for asked in (menu, "", "abc"):
        with pytest.raises(ServerFailure):
            export(workspace, [asked], [], "none")


@pytest.mark.parametrize("slug", LARGE)
def test_runs_belong_to_flows_and_contacts_of_their_workspace(slug: str) -> None:
    workspace, made = load()[slug], runs(slug)
    flows = {row.body["uuid"] for row in workspace.tables["flows"]}
    living = {row.body["uuid"] for row in contacts(slug) if not row.deleted}

    assert len(made) > 600
    assert {row.body["flow"]["uuid"] for row in made} <= flows
    assert {row.body["contact"]["uuid"] for row in made} <= living
    assert all(row.created_on <= row.modified_on <= NOW for row in made)
    assert {row.body["exit_type"] for row in made} == {None, "completed", "expired", "interrupted"}


def test_tokens_are_forty_lower_case_hex_digits_and_all_different() -> None:
    secrets = [token.secret for token in TOKENS.values()]

    assert len(set(secrets)) == len(secrets)
    assert all(len(secret) == 40 and set(secret) <= set("0123456789abcdef") for secret in secrets)
    assert set(TOKENS) >= {
        "clinics",
        "districts",
        "national",
        "revoked",
        "agent",
        "removed",
        "limited",
        "spare",
        "broken",
    }


def test_tokens_are_the_same_at_each_start() -> None:
    # A demo database keeps these sealed: another value would turn its working tokens into refused ones.
    assert TOKENS["clinics"].secret[:6] == "5fc959"
    assert TOKENS["national"].secret[:6] == "090af5"


def test_only_working_tokens_are_found() -> None:
    assert find_token(TOKENS["spare"].secret) is TOKENS["spare"]
    assert find_token(TOKENS["revoked"].secret) is None
    assert find_token(TOKENS["spare"].secret.upper()) is None


def test_the_fixed_now_is_the_newest_moment_of_all() -> None:
    assert datetime.fromisoformat("2026-11-20T12:00:00Z") == NOW
