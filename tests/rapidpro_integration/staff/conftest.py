"""People with some of the staff pages' permissions, and rows to look at."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from rapidpro_integration.models import RapidProToken, ServerHour, TokenCheck, TokenStateHour, WorkspaceHour
from tests.conftest import just_proved

type StaffMaker = Callable[..., Client]


@pytest.fixture
def boss(staff: User) -> Client:
    """Return the browser of a superuser, who may do everything."""
    return just_proved(Client(), staff)


@pytest.fixture
def helper(db: None) -> StaffMaker:
    """Return a function that gives the browser of staff with these permissions alone."""

    def make(*permissions: str) -> Client:
        user = User.objects.create_user("helper", "helper@example.org", "a long enough passphrase", is_staff=True)
        TOTP.activate(user, generate_totp_secret())
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        return just_proved(Client(), user)

    return make


@pytest.fixture
def facts(token: RapidProToken) -> RapidProToken:
    """Return a token with a check, and an hour of each kind of row."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    TokenCheck.objects.create(
        token=token, started_on=datetime.now(UTC) - timedelta(minutes=2), state="server_error", kind="server_error",
        http_status=502, duration_ms=812, reference="FEEDBEEF", trigger="due", server=token.server,
    )  # fmt: skip
    ServerHour.objects.create(
        server=token.server, hour=hour, requests=40, ok=30, server_error=8, rate_limited=2, ms_500=40,
        duration_ms=16_000, last_success_on=hour,
    )  # fmt: skip
    WorkspaceHour.objects.create(
        server=token.server,
        workspace_uuid=token.workspace_uuid,
        token=token.pk,
        hour=hour,
        requests=3_400,
        rate_limited=2,
    )
    TokenStateHour.objects.create(hour=hour, state="working", count=1)
    return token
