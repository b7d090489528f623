"""A RapidPro with any number of workspaces: the first letters of a token say which one it opens."""

import asyncio
import hashlib
import json
from collections import Counter
from contextlib import AbstractAsyncContextManager
from uuid import NAMESPACE_URL, uuid5

from tests.faults import tls
from tests.faults.server import FaultyServer, flow, serve
from tests.rapidpro_integration.client.loopback import answer, page

_WORKSPACE_LETTERS = 8


def secret_of(person: str, number: int) -> str:
    """Return a person's token: each opens a workspace of its own."""
    return hashlib.sha1(f"{person} {number}".encode(), usedforsecurity=False).hexdigest()


class Workspaces:
    """The server, what it was asked, and the workspaces that have used up their requests."""

    def __init__(self, *, flows: int = 20, answer_s: float = 0.02) -> None:
        self._answer_s = answer_s
        self._flows = page(*[flow(f"Flow {number}") for number in range(flows)])
        #: (what, first letters of the token) -> how often it was asked.
        self.asked: Counter[tuple[str, str]] = Counter()
        #: Workspaces that answer 429, and the seconds that they ask for.
        self.used_up: dict[str, int] = {}
        #: Workspaces that take their time, and how much.
        self.slow_s: dict[str, float] = {}

    def serving(self) -> AbstractAsyncContextManager[FaultyServer]:
        """Serve until the block ends."""
        return serve(self._behave, tls=tls.context("good"), scheme="https")

    async def _behave(self, server: FaultyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await server.head(reader)
            server.heads.clear()
            what = head.split(" ", 2)[1].partition("?")[0].rpartition("/")[2]
            token = head.lower().partition("authorization: token ")[2].partition("\r\n")[0]
            workspace = workspace_of(token)
            await asyncio.sleep(self.slow_s.get(workspace, self._answer_s))
            writer.write(self._reply(what, workspace))
            await writer.drain()

    def _reply(self, what: str, workspace: str) -> bytes:
        self.asked[what, workspace] += 1
        if wait_s := self.used_up.get(workspace):
            return answer(b"{}", status="429 Too Many Requests", headers=f"Retry-After: {wait_s}\r\n")
        if what == "flows.json":
            return answer(self._flows)
        return answer(
            json.dumps({"uuid": str(uuid5(NAMESPACE_URL, workspace)), "name": f"Workspace {workspace}"}).encode()
        )


def workspace_of(secret: str) -> str:
    """Return the letters by which `Workspaces` knows the token's workspace."""
    return secret[:_WORKSPACE_LETTERS]
