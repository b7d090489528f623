"""The tutorial's way: a sync view, requests, a Django template; for gunicorn with threads."""

import os
from uuid import UUID

import requests
from django.contrib.auth.decorators import login_required
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path

os.environ["BASELINE"] = __name__
os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.baselines.settings"
application = get_wsgi_application()

from benchmarks.baselines.flows import PATH, TIMEOUT_S, rows_of  # noqa: E402
from benchmarks.baselines.models import Token  # noqa: E402  # Django has to be set up first
from benchmarks.baselines.sealing import opened  # noqa: E402


@login_required
def flow_list(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """Show the flows of one of the person's tokens."""
    token = get_object_or_404(Token, pk=token_id, owner=request.user)
    secret = opened(bytes(token.sealed), str(token.pk))
    answer = requests.get(token.server + PATH, headers={"Authorization": f"Token {secret}"}, timeout=TIMEOUT_S)
    answer.raise_for_status()
    return render(request, "baselines/flow_list.html", {"token": token, "flows": rows_of(answer.json())})


urlpatterns = [path("tokens/<uuid:token_id>/flows/", flow_list, name="flow-list")]
