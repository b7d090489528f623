"""Each person's language and zone, in the sync stack and without a person."""

from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import login
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils import timezone, translation

from accounts.middleware import preferences
from accounts.models import User
from accounts.selectors import person
from accounts.sessions import SessionStore


def seen(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{timezone.get_current_timezone_name()} {translation.get_language()}")


def test_sync_stack_activates_the_persons_choice(rf: RequestFactory, owner: User) -> None:
    owner.language = "ar"
    owner.save()
    request = rf.get("/")
    request.session = SessionStore()
    login(request, owner)
    with timezone.override("UTC"), translation.override("en"):
        assert preferences(seen)(request).content == b"Africa/Nairobi ar"  # type: ignore[union-attr]


def test_stranger_after_a_person_gets_utc_and_the_browsers_language(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.session = SessionStore()
    with timezone.override(ZoneInfo("Africa/Nairobi")), translation.override("fr"):
        assert preferences(seen)(request).content == b"UTC fr"  # type: ignore[union-attr]


def test_unguarded_view_that_asks_for_the_person_breaks_loudly(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = AnonymousUser()
    with pytest.raises(TypeError, match="nobody is signed in"):
        person(request)
