"""What the sandbox's tests share: asking an app in this process, as one of its tokens."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from rapidpro_integration.sandbox.app import App, create_app
from rapidpro_integration.sandbox.tokens import TOKENS

type Ask = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def ask() -> Ask:
    """Give a coroutine function that sends one request: path first, then the name of a token."""

    async def send(
        path: str, token: str = "", app: App | None = None, client: str = "127.0.0.1", **more: Any
    ) -> httpx.Response:
        headers = {"Accept": "application/json"} | more.pop("headers", {})
        if token:
            headers["Authorization"] = f"Token {TOKENS[token].secret}"
        transport = httpx.ASGITransport(app=app or create_app(), client=(client, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.example/api/v2/") as session:
            return await session.request(more.pop("method", "GET"), path, headers=headers, **more)

    return send
