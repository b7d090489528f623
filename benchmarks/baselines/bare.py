"""The same page without Django: ASGI, psycopg's pool, aiohttp, msgspec, rows by f-strings; for uvicorn."""

import os
from datetime import datetime
from html import escape
from typing import Any

import aiohttp
import msgspec
from psycopg_pool import AsyncConnectionPool

from benchmarks.baselines.flows import PATH, TIMEOUT_S
from benchmarks.baselines.sealing import opened

_QUERY = """
    SELECT token.id::text, token.label, token.server, token.sealed, auth_user.username
    FROM plain_session
    JOIN auth_user ON auth_user.id = plain_session.owner_id AND auth_user.is_active
    JOIN token ON token.owner_id = plain_session.owner_id
    WHERE plain_session.key = %s AND plain_session.expires_on > now() AND token.id = %s
"""
_POOL_SIZE = 20


class _Label(msgspec.Struct, gc=False):
    name: str


class _Runs(msgspec.Struct, gc=False):
    active: int
    waiting: int
    completed: int
    expired: int
    interrupted: int
    failed: int


class _Flow(msgspec.Struct, gc=False):
    uuid: str
    name: str
    type: str | None
    archived: bool
    labels: list[_Label]
    runs: _Runs
    created_on: datetime
    modified_on: datetime


class _Answer(msgspec.Struct, gc=False):
    results: list[_Flow]


_decode = msgspec.json.Decoder(_Answer).decode


class Application:
    """The program; its connections are opened when the server starts and closed when it stops."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        status, body = await self._page(scope)
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"x-frame-options", b"DENY"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        self._pool = AsyncConnectionPool(
            os.environ["BASELINE_DATABASE_URL"], min_size=1, max_size=_POOL_SIZE, timeout=TIMEOUT_S, open=False
        )
        await self._pool.open()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            read_bufsize=256 * 1024,
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._session.close()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _page(self, scope: dict[str, Any]) -> tuple[int, bytes]:
        match scope["path"].split("/"):
            case ["", "tokens", token_id, "flows", ""]:
                pass
            case _:
                return 404, b"Not found"
        cookie = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
        key = next((part[10:] for part in cookie.split("; ") if part.startswith("sessionid=")), "")
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_QUERY, (key, token_id))
            row = await cursor.fetchone()
        if row is None:
            return 404, b"Not found"
        row_id, label, server, sealed, username = row
        headers = {"Authorization": f"Token {opened(sealed, row_id)}"}
        async with self._session.get(server + PATH, headers=headers) as answer:
            answer.raise_for_status()
            flows = _decode(await answer.read()).results
        return 200, _html(row_id, label, username, flows).encode()


def _html(row_id: str, label: str, username: str, flows: list[_Flow]) -> str:
    title, who, rows = escape(label), escape(username), "".join([_row(row_id, flow) for flow in flows])
    return f"""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Flows of {title}</title>
</head>
<body>
<nav><a href="/">Console</a> <a href="/profile/">{who}</a> <a href="/logout/">Sign out</a></nav>
<main>
<h1>{title}</h1>
<p>{len(flows)} flows</p>
<table>
  <thead><tr><th>Name</th><th>Type</th><th>Labels</th><th>Runs</th><th>Completed</th><th>Modified</th><th>Created</th></tr></thead>
  <tbody>{rows}</tbody>
</table>
</main>
</body>
</html>"""


def _row(row_id: str, flow: _Flow) -> str:
    runs, modified, created = flow.runs, flow.modified_on, flow.created_on
    total = runs.active + runs.waiting + runs.completed + runs.expired + runs.interrupted + runs.failed
    archived = ' <span class="tag">Archived</span>' if flow.archived else ""
    labels = "".join([f'<bdi class="tag">{escape(label.name)}</bdi> ' for label in flow.labels])
    share = f"{round(100 * runs.completed / total)}%" if total else ""
    path = f"/tokens/{row_id}/flows/{escape(flow.uuid)}/"
    return f"""
  <tr>
    <th scope="row"><a href="{path}"><bdi>{escape(flow.name)}</bdi></a>{archived}</th>
    <td>{escape(flow.type or "")}</td>
    <td>{labels}</td>
    <td class="num">{total:,}</td>
    <td class="num">{share}</td>
    <td><time datetime="{modified.isoformat()}">{modified:%-d %b %Y, %H:%M}</time></td>
    <td><time datetime="{created.isoformat()}">{created:%-d %b %Y}</time></td>
  </tr>"""


application = Application()
