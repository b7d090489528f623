"""The processes of test_workers: `work` and `verify`. A request is a line in a file, and takes a while."""

import asyncio
import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import django

django.setup()

import httpx  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django_tasks_db.models import DBTaskResult  # noqa: E402

from accounts.models import User  # noqa: E402
from rapidpro_integration import canaries, services  # noqa: E402
from rapidpro_integration.client import pools  # noqa: E402
from rapidpro_integration.health import heartbeat, leases, tasks  # noqa: E402
from rapidpro_integration.models import RapidProToken, TokenCheck, WorkerBeat  # noqa: E402
from rapidpro_integration.vault import Secret  # noqa: E402

# More than one worker alone can ask at a time: each has 16 checks under way, and each server 4.
SERVERS = tuple(f"https://rapidpro{number}.example" for number in range(8))
COUNT = 48
ANSWER_S = 0.3
LEASE_S = 1.0
DEAD_S = 1.5
LIMIT_S = 40


def make() -> None:
    """Make tokens that are due, and hand out a round for each worker."""
    owner = User.objects.create_user("owner", "owner@example.org")
    with canaries.sealing():
        for number in range(COUNT):
            row = RapidProToken(owner=owner, label=f"{number}", last_four="")
            secret, server = Secret(f"{number:040}"), SERVERS[number % len(SERVERS)]
            fields = services.sealed_fields(secret, row_id=row.pk, owner_id=owner.pk, server=server)
            for name, value in fields.items():
                setattr(row, name, value)
            row.save()
    for _ in range(2):
        tasks.check_due.enqueue()


def work(name: str, log: Path, go: Path) -> None:
    """Work through the queue as `name`, against servers that take their time, once the file `go` is there."""
    leases.LEASE = timedelta(seconds=LEASE_S)
    heartbeat.DEAD_AFTER, heartbeat.BEAT_EVERY = timedelta(seconds=DEAD_S), timedelta(seconds=0.3)
    workspace = {"uuid": "882f1c30-45b7-4fe2-bff8-12c78de3807e", "name": "Nutrition"}

    def tell(what: str, request: httpx.Request) -> None:
        line = f"{name} {what} {request.url.host} {request.headers['authorization'][-2:]}\n"
        with log.open("ab", buffering=0) as file:  # one write of a short line to the end: whole, or not there
            file.write(line.encode())

    async def answer(request: httpx.Request) -> httpx.Response:
        tell("asks", request)
        await asyncio.sleep(ANSWER_S)
        tell("hears", request)
        return httpx.Response(200, json=workspace)

    if name == "a":
        make()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not go.exists():
        time.sleep(0.005)
    pools.use_wire(lambda _: httpx.MockTransport(answer))
    options = {"interval": 0.05, "startup_delay": False, "reload": False, "verbosity": 0}
    call_command("db_worker", worker_id=name, **options)


def verify() -> None:
    """Wait until every token is checked and no task is left; tell what there is."""
    ends = time.monotonic() + LIMIT_S
    while time.monotonic() < ends:
        left = DBTaskResult.objects.exclude(status__in=["SUCCESSFUL", "FAILED"]).exists()
        if not left and TokenCheck.objects.values("token").distinct().count() == COUNT:
            break
        time.sleep(0.05)
    facts = {
        "checks": list(TokenCheck.objects.values_list("token__label", flat=True)),
        "leased": RapidProToken.objects.filter(leased_until__isnull=False).count(),
        "tasks": list(DBTaskResult.objects.values_list("status", "worker_ids")),
        "beats": list(WorkerBeat.objects.values_list("worker_id", flat=True)),
    }
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["work", name, log, go]:
            work(name, Path(log), Path(go))
        case ["verify"]:
            verify()
        case _:
            os._exit(2)
