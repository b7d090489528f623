"""Three web processes and two workers on one PostgreSQL and one Redis, each killed in turn under load.

`python -m tests.faults.cluster` takes about five minutes; loopback only. It makes a database of its own on the server
of POSTGRES_URL, starts its own Redis and drops both. Ends with 1 if anything was lost, done twice or left undone.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.mailbox import Mailbox, mailbox
from tests.faults.own import redis_server
from tests.faults.people import Browser, Ledger, administer, work
from tests.faults.production import Person, Process, Production
from tests.faults.workspaces import Workspaces, secret_of, workspace_of

WEBS, WORKERS = 3, 2
IDLE = 24
_POSTGRES = os.environ.get("POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")


@dataclass(frozen=True)
class Plan:
    """How long it takes: kills of each process, seconds before and after each, people; `aged_s` for no waiting."""

    kills: int = 3
    before_s: float = 5.0
    down_s: float = 2.0
    people: int = 10
    settle_s: int = 240
    aged_s: int = 0


@dataclass
class Findings:
    """What was found; `faults` are sentences for what must not be."""

    done: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def must(self, holds: bool, sentence: str) -> None:
        """Keep the sentence if this does not hold."""
        if not holds:
            self.faults.append(sentence)


@contextmanager
def database() -> Iterator[str]:
    """Return the address of a database of one's own on the server of POSTGRES_URL; drop it afterwards."""
    name = f"cluster_{os.getpid()}"
    with psycopg.connect(_POSTGRES, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{_POSTGRES.rpartition('/')[0]}/{name}"
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def run(plan: Plan, tell: Callable[[str], object] = lambda text: None) -> Findings:
    """Do it, and return what was found; `tell` hears how far it is."""
    upstream = Workspaces()
    # Long enough for a worker to be killed with some of them in its hands.
    upstream.slow_s = {workspace_of(secret_of("idle", number)): 1.5 for number in range(IDLE)}
    with tempfile.TemporaryDirectory() as folder, database() as url, redis_server() as redis:
        async with upstream.serving() as server, mailbox() as box:
            settings = {
                "RAPIDPRO_SERVERS": server.origin,
                "RAPIDPRO_PRIVATE_ORIGINS": server.origin,
                "EMAIL_URL": box.url,
                "DATABASE_POOL_SIZE": "8",
            }
            with Production(Path(folder), url, redis.url, **settings) as site:
                return await _exercise(site, server.origin, upstream, box, plan, tell)


async def _exercise(
    site: Production, origin: str, upstream: Workspaces, box: Mailbox, plan: Plan, tell: Callable[[str], object]
) -> Findings:
    found, ledger = Findings(), Ledger()
    tell("People are made.")
    people = await asyncio.to_thread(site.stage, people=plan.people, tokens=4, server=origin, idle=IDLE)
    tell("Processes are started.")
    webs = await asyncio.gather(*(asyncio.to_thread(site.web, f"web {number + 1}") for number in range(WEBS)))
    workers = await asyncio.gather(
        *(asyncio.to_thread(site.worker, f"worker {number + 1}", "--schedule") for number in range(WORKERS))
    )
    browsers = [Browser(person, webs, origin, ledger) for person in people]
    boss, *others, _idle = browsers
    ends = asyncio.Event()
    started = time.monotonic()
    async with asyncio.TaskGroup() as load:
        load.create_task(administer(boss, ends))
        for browser in others:
            load.create_task(work(browser, ends))
        for _ in range(plan.kills):
            for victim in _in_turn(webs, workers):
                await asyncio.sleep(plan.before_s * random.uniform(0.8, 1.2))
                tell(f"{victim.name} is killed.")
                victim.kill()
                await asyncio.sleep(plan.down_s)
                await asyncio.to_thread(victim.start)
        await asyncio.sleep(plan.before_s)
        ends.set()
    found.facts["seconds of load"] = round(time.monotonic() - started)
    tell("All have done their last.")
    await _look_at_what_is_shared(found, people, webs, browsers, upstream)
    for browser in browsers:
        await browser.aclose()
    found.done = dict(ledger.done)
    found.facts |= {"kills": plan.kills * (WEBS + WORKERS), "cut requests": ledger.cut}
    found.must(not ledger.broken, f"Answers of 500 and more: {ledger.broken}")
    tell("What is left is waited for, and everything looked at.")
    await asyncio.to_thread(_prove, found, site, ledger, plan)
    _look_at_mails(found, box)
    _look_at_logs(found, site)
    return found


def _in_turn(webs: list[Process], workers: list[Process]) -> Iterator[Process]:
    for number, web in enumerate(webs):
        yield web
        if number < len(workers):
            yield workers[number]


async def _look_at_what_is_shared(
    found: Findings, people: list[Person], webs: list[Process], browsers: list[Browser], upstream: Workspaces
) -> None:
    """Sessions through every process, one request for a list, and a workspace that has used up its requests."""
    for browser in browsers:
        for web in webs:
            answer = await browser.ask("GET", "/tokens/", web=web)
            found.must(answer is not None and answer.status_code == 200, f"A session does not live on {web.name}.")
    idle, person = browsers[-1], people[-1]
    workspace = workspace_of(secret_of("idle", 0))
    path = f"/tokens/{person.tokens[0]}"
    upstream.slow_s.clear()
    for web in webs:
        await idle.ask("GET", f"{path}/flows/", web=web)
    asked = upstream.asked["flows.json", workspace]
    found.must(asked == 1, f"A list that all processes show was asked for {asked} times.")
    upstream.used_up[workspace] = 600
    before = upstream.asked.total()
    for web in webs:
        await idle.ask("POST", f"{path}/check/", web=web)
    asked = upstream.asked.total() - before
    found.must(asked == 1, f"A workspace that has used up its requests was asked {asked} times.")
    upstream.used_up.clear()


def _prove(found: Findings, site: Production, ledger: Ledger, plan: Plan) -> None:
    work_ = site.ask("settle", str(plan.settle_s), str(plan.aged_s))
    promised = {"tokens": ledger.tokens, "deleted": ledger.deleted, "names": ledger.names}
    kept, log = site.ask("kept", given=promised), site.ask("log")
    found.facts |= {"work": work_, "kept": kept, "log": log}
    for name in ("lost", "unasked", "came back", "twice", "names lost"):
        found.must(not kept[name], f"Tokens and names, {name}: {kept[name]}")
    for name in ("twice", "states out of turn"):
        found.must(not log[name], f"The audit log, {name}: {log[name]}")
    for name in ("left", "checked twice"):
        found.must(not work_[name], f"Background work, {name}: {work_}")
    found.must(not work_["tasks"].get("FAILED"), f"Failed tasks: {work_['tasks']}")
    found.must(work_["actions"] > 0, "No staff action was begun.")
    for command in (("tokens", "doctor"), ("audit", "verify")):
        found.facts[" ".join(command)] = site.run("manage.py", *command).strip().splitlines()[-1]


def _look_at_mails(found: Findings, box: Mailbox) -> None:
    came = Counter((mail["To"], mail["Subject"], mail.get_content()) for mail in box.mails)
    found.facts["mails"] = came.total()
    again = [subject for (_, subject, _), count in came.items() if count > 1]
    found.must(not again, f"Mails that came twice: {again}")


def _look_at_logs(found: Findings, site: Production) -> None:
    for process in site.processes.values():
        wrong = [line for line in process.told().splitlines() if "Traceback" in line or " ERROR " in line]
        found.must(not wrong, f"{process.name} logged: {wrong[:5]}")


def main() -> int:
    """Run it and print what was found."""
    found = asyncio.run(run(Plan(), tell=lambda text: print(f"{time.strftime('%X')} {text}", flush=True)))  # noqa: T201
    print("asked and answered:", found.done)  # noqa: T201
    for name, fact in found.facts.items():
        print(f"{name}: {fact}")  # noqa: T201
    for fault in found.faults:
        print("FAULT:", fault)  # noqa: T201
    print("nothing lost, nothing done twice, nothing left undone" if not found.faults else "FAULTS")  # noqa: T201
    return bool(found.faults)


if __name__ == "__main__":
    sys.exit(main())
