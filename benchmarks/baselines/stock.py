"""Stock async Django: an async view, the ORM, httpx, a Django template. SHARED_CLIENT=1: one client for all."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from uuid import UUID

import httpx
from django.contrib.auth.decorators import login_required
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path

os.environ["BASELINE"] = __name__
os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.baselines.settings"
application = get_asgi_application()

from django.shortcuts import aget_object_or_404  # noqa: E402

from benchmarks.baselines.flows import PATH, TIMEOUT_S, rows_of  # noqa: E402
from benchmarks.baselines.models import Token  # noqa: E402  # Django has to be set up first
from benchmarks.baselines.sealing import opened  # noqa: E402

_IS_SHARED = os.environ.get("SHARED_CLIENT") == "1"
# httpx's own hundred would make people wait for each other.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None)


@cache
def _shared() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=TIMEOUT_S, limits=_LIMITS)


@asynccontextmanager
async def _client() -> AsyncIterator[httpx.AsyncClient]:
    if _IS_SHARED:
        yield _shared()
        return
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        yield client


@login_required
async def flow_list(request: HttpRequest, token_id: UUID) -> HttpResponseBase:
    """Show the flows of one of the person's tokens."""
    token = await aget_object_or_404(Token, pk=token_id, owner=await request.auser())
    secret = opened(bytes(token.sealed), str(token.pk))
    async with _client() as client:
        answer = await client.get(token.server + PATH, headers={"Authorization": f"Token {secret}"})
    answer.raise_for_status()
    return TemplateResponse(request, "baselines/flow_list.html", {"token": token, "flows": rows_of(answer.json())})


urlpatterns = [path("tokens/<uuid:token_id>/flows/", flow_list, name="flow-list")]
