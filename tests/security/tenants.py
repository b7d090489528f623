"""Whose answer is whose: two tenants on one server, over kept connections that break, hang and talk out of turn.

    python -m tests.security.tenants

The server labels each answer with the token and the query that it saw. What it says out of turn carries the label of
the token that used the connection last: it is right for that tenant, and a leak for any other.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import stamina

from rapidpro_integration.client.errors import AbstractRequestException
from rapidpro_integration.interface import RapidProInterface
from tests.faults.server import Behaviour, FaultyServer, flow, reset, serve
from tests.rapidpro_integration.client.loopback import answer, page

# Two tokens of one tenant, and one of another.
TOKENS = {"a" * 20 + "0" * 20: "user 1", "b" * 20 + "1" * 20: "user 1", "c" * 20 + "2" * 20: "user 2"}
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Outcome:
    """What came back: right, an error, or cancelled; and the answers that were somebody else's."""

    requests: int = 0
    connections: int = 0
    came: Counter[str] = field(default_factory=Counter)
    of_another_tenant: int = 0
    of_another_token: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        came = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.came.items()))
        return (
            f"{self.requests:,} requests of 2 tenants with 3 tokens over {self.connections:,} kept connections: {came};"
            f" {self.of_another_tenant} answers of another tenant, {self.of_another_token} of another token"
            f" ({self.seconds:.0f} s)"
        )


def labelled(chance: random.Random) -> Behaviour:
    """Return a server that labels its answers, and that now and then resets, hangs up, dawdles or goes on talking."""

    def reply(head: str) -> bytes:
        token = head.partition("Authorization: Token ")[2].partition("\r\n")[0]
        query = head.partition("?after=")[2].partition(" ")[0].partition("&")[0]
        return answer(page(flow(f"{token} {query}", labels=[])))

    async def behave(server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await server.head(reader)
            whole, luck = reply(head), chance.random()
            if luck < 0.01:
                writer.write(whole[:-20])
                reset(writer)
                return
            if luck < 0.05:
                await asyncio.sleep(chance.uniform(0, 0.02))
            writer.write(whole + (whole if luck > 0.95 else b""))
            await writer.drain()
            if 0.90 < luck < 0.95:
                await asyncio.sleep(chance.uniform(0, 0.01))
                writer.write(whole)
            if luck > 0.99:
                return

    return behave


async def exercise(*, rounds: int, at_once: int = 12, seed: int = 1) -> Outcome:
    """Ask the same with every token at the same time, again and again; some of the callers leave early."""
    chance, outcome, started = random.Random(seed), Outcome(), time.monotonic()

    async def ask(interface: RapidProInterface, token: str, number: int) -> None:
        after = _EPOCH + timedelta(minutes=number)
        try:
            flows = await interface.aget_flows(after_date=after)
        except AbstractRequestException as error:
            outcome.came[str(error.kind)] += 1
            return
        (row,) = flows
        seen = (row.name or "").split()[0]
        outcome.came["right"] += seen == token
        outcome.of_another_token += seen != token
        outcome.of_another_tenant += TOKENS.get(seen) != TOKENS[token]

    async def leave(task: asyncio.Task[None]) -> None:
        await asyncio.sleep(chance.uniform(0, 0.01))
        if task.cancel():
            outcome.came["cancelled"] += 1
        with suppress(asyncio.CancelledError):
            await task

    async def one(number: int) -> None:
        tasks = [
            asyncio.create_task(ask(RapidProInterface(token, server.origin, tenant=tenant), token, number))
            for token, tenant in TOKENS.items()
        ]
        leaving = [leave(task) for task in tasks if chance.random() < 0.05]
        await asyncio.gather(*leaving, *tasks, return_exceptions=True)

    async def worker(first: int) -> None:
        for number in range(first, rounds, at_once):
            await one(number)

    with stamina.set_testing(True, attempts=3, cap=True):
        async with serve(labelled(chance)) as server:
            await asyncio.gather(*(worker(first) for first in range(at_once)))
            outcome.requests, outcome.connections = len(server.heads), server.connections
    outcome.seconds = time.monotonic() - started
    return outcome


def main() -> int:
    """Run it as the command line says; return 1 if an answer reached the wrong caller."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcome = asyncio.run(exercise(rounds=options.rounds, seed=options.seed))
    sys.stdout.write(f"{outcome}\n")
    return 1 if outcome.of_another_token or outcome.of_another_tenant or outcome.requests < options.rounds else 0


if __name__ == "__main__":
    sys.exit(main())
