"""What every test shares: coroutine tests, recorded answers, people and their tokens."""

import atexit
import contextvars
import inspect
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import respx
import stamina
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.core.cache import cache
from django.core.management import call_command
from django.core.management.commands.flush import Command as Flush
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone, translation

from accounts.audit import triggers
from accounts.models import User
from config import asides
from rapidpro_integration import canaries, flow_lists, notices, openings, selectors, vault
from rapidpro_integration.client import pools, retries, transport
from rapidpro_integration.models import RapidProToken, TokenState
from rapidpro_integration.observations import writing
from rapidpro_integration.observations.recorder import recorder
from rapidpro_integration.vault import Secret
from tests import databases
from tests.databases import RealDatabase

# These machines are shared: how long an example took says nothing about the code.
hypothesis.settings.register_profile("shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared")

RECORDINGS = Path(__file__).parent / "recordings"


# What a test asks for if the database or the cache can make it end in another way.
_STORED = {"db", "transactional_db"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the second run of CI leave out what the first has shown."""
    help_ = "only tests that the database or the cache can make end otherwise"
    parser.addoption("--stored", action="store_true", help=help_)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, if asked to, what uses no database and no cache: on another one it is the same test again."""
    if not config.getoption("--stored"):
        return
    chosen = [item for item in items if _is_stored(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def _is_stored(item: pytest.Item) -> bool:
    names = set(getattr(item, "fixturenames", ()))
    return bool(item.get_closest_marker("django_db") or names & _STORED)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run `async def` tests with async_to_sync, so that the plain `db` fixture isolates them.

    Each test has a context of its own: what Django's locals leave in it is copied at each hop between threads, and
    hundreds of them made every request of a long run five times slower than one alone.
    """
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    test = async_to_sync(pyfuncitem.obj) if inspect.iscoroutinefunction(pyfuncitem.obj) else pyfuncitem.obj
    contextvars.copy_context().run(test, **wanted)
    return True


@pytest.fixture(autouse=True)
def _no_naps() -> Iterator[None]:
    """Try as often as ever, without the seconds in between."""
    with stamina.set_testing(True, attempts=retries.ATTEMPTS, cap=True):
        yield


@pytest.fixture(autouse=True)
def _fresh_start() -> None:
    """Forget what another test has taught: rate limits, servers that failed, the language and zone of its request."""
    cache.clear()
    transport.forget()
    recorder.clear()
    translation.activate("en")
    timezone.deactivate()


@pytest.fixture(autouse=True, scope="session")
def _flush_may_empty_the_audit_log() -> Iterator[None]:
    """Let the `flush` after a transactional test empty the audit log too, whose triggers refuse it everywhere else."""
    flush = Flush.handle

    def handle(self: Flush, **options: Any) -> str | None:
        triggers.drop(connection)
        answer = flush(self, **options)
        triggers.make_head(connection)
        triggers.create(connection)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flush, "handle", handle)
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_counts_at_exit() -> Iterator[None]:
    """Let the end of the suite write nothing into a database that is gone by then."""
    yield
    atexit.unregister(writing.write_at_exit)


@pytest.fixture(autouse=True)
def _openings_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test with no token opened, and without a thread that would write into another test's database."""
    monkeypatch.setattr(openings, "_openings", openings.Openings(schedule=lambda delay_s, call: None))


@pytest.fixture(autouse=True)
def _patience_for_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for whole lists: how much of one comes within the usual time depends on the machine."""
    monkeypatch.setattr(flow_lists, "PATIENCE_S", 30)
    monkeypatch.setattr(flow_lists, "FIRST_S", 30)


@pytest.fixture(autouse=True)
def _notices_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send mails in the test's own thread: the other one would look into another test's database."""
    monkeypatch.setattr(notices, "_later", lambda call: call())


@pytest.fixture(autouse=True)
def _asides_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask in the request's own thread: another one would not see what the test has not committed."""

    async def ask[T](self: asides.Aside[T]) -> T:
        return await sync_to_async(self._call)()

    monkeypatch.setattr(asides.Aside, "ask", ask)


@pytest.fixture
def recording() -> Callable[[str], dict[str, Any]]:
    """Return a function that loads one recorded exchange: {"request": …, "response": {status, headers, body}}."""

    def load(name: str) -> dict[str, Any]:
        exchange: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))
        return exchange

    return load


# --- People and their tokens --------------------------------------------------------------------

SERVER = "https://rapidpro.example"
OTHER_SERVER = "https://other.example"
# The marker that no page, log line, session or cache may ever show.
SECRET = "4f1c0ffee0ddba11deadbeef0123456789abcdef"
PASSWORD = "a long enough passphrase"

type TokenMaker = Callable[..., RapidProToken]


def _person(name: str, **fields: Any) -> User:
    return User.objects.create_user(name, f"{name}@example.org", PASSWORD, **fields)


@pytest.fixture
def owner(db: None) -> User:
    """Return the tenant that the tests look through the eyes of."""
    return _person("owner", time_zone="Africa/Nairobi")


@pytest.fixture
def other(db: None) -> User:
    """Return another tenant."""
    return _person("other")


@pytest.fixture
def staff(db: None) -> User:
    """Return an administrator, who has an authenticator app as they all must."""
    user = _person("staff", is_staff=True, is_superuser=True)
    TOTP.activate(user, generate_totp_secret())
    return user


@pytest.fixture
def make_token(db: None) -> TokenMaker:
    """Return a function that saves a sealed token, working unless told otherwise."""

    def make(
        owner: User, *, secret: str = SECRET, server: str = SERVER, label: str = "Clinics", **fields: Any
    ) -> RapidProToken:
        row_id = uuid.uuid4()
        sealed = vault.seal_token(Secret(secret), row_id=row_id, owner_id=owner.pk, origin=server)
        defaults: dict[str, Any] = {
            "state": TokenState.WORKING,
            "workspace_uuid": uuid.UUID("882f1c30-45b7-4fe2-bff8-12c78de3807e"),
            "workspace_name": "Nutrition",
            "checked_on": timezone.now(),
            "check_duration_ms": 12,
            "check_status": 200,
            "check_reference": "0A1B2C3D",
        }
        with canaries.sealing():
            RapidProToken.objects.create(
                id=row_id,
                owner=owner,
                label=label,
                server=server,
                sealed=sealed.text,
                key_id=sealed.key_id,
                fingerprint=vault.ring().fingerprint(Secret(secret), owner_id=owner.pk, origin=server),
                last_four=secret[-4:],
                **defaults | fields,
            )
        # As the views get it: with the owner's access to the server.
        return selectors.tokens_of(owner.pk).get(pk=row_id)

    return make


@pytest.fixture
def token(owner: User, make_token: TokenMaker) -> RapidProToken:
    """Return the owner's working token."""
    return make_token(owner)


def just_proved(client: Client, user: User, *, seconds_ago: float = 0) -> Client:
    """Sign the person in, as if they had typed the password so many seconds ago; return the browser."""
    client.force_login(user)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - seconds_ago}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return client


@pytest.fixture
def owner_client(client: Client, owner: User) -> Client:
    """Return a browser in which the owner has just signed in."""
    return just_proved(client, owner)


# --- The audit log ------------------------------------------------------------------------------

type Sql = Callable[..., None]


@pytest.fixture
def sql(db: None) -> Sql:
    """Return a function that runs statements while the triggers are away."""

    def run(*statements: str) -> None:
        triggers.drop(connection)
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        triggers.create(connection)

    return run


@pytest.fixture
def real_database(tmp_path: Path, db: None, django_db_blocker: Any) -> Iterator[RealDatabase]:
    """Return a database of its own, for tests in which several processes meet."""
    with databases.database(tmp_path, django_db_blocker) as made:
        yield made


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a STATIC_ROOT as a production has it: collected once, with far-future names."""
    folder = tmp_path_factory.mktemp("static")
    storage = {"staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"}}
    with override_settings(STATIC_ROOT=str(folder), STORAGES=settings.STORAGES | storage):
        call_command("collectstatic", interactive=False, verbosity=0)
    return folder


# --- RapidPro, as it was recorded ---------------------------------------------------------------


@pytest.fixture
def respx_mock() -> Iterator[respx.MockRouter]:
    """Return respx's router in the place of every wire; a request that it has no route for fails."""
    router = respx.MockRouter()
    pools.use_wire(lambda _: httpx.MockTransport(router.async_handler))
    try:
        yield router
    finally:
        pools.use_wire(None)


@pytest.fixture
def rapidpro(respx_mock: respx.MockRouter, recording: Callable[[str], dict[str, Any]]) -> Callable[..., respx.Route]:
    """Return a function that makes the server answer a path with a recording, a status and body, or an error."""

    def answer(
        path: str,
        name: str = "",
        *,
        server: str = SERVER,
        status: int = 200,
        error: Exception | None = None,
        **body: Any,
    ) -> respx.Route:
        route = respx_mock.get(f"{server}/api/v2/{path}")
        if error is not None:
            return route.mock(side_effect=error)
        if not name:
            return route.respond(status, **body)
        response = recording(name)["response"]
        kept = {key: value for key, value in response["headers"] if key.lower() in {"content-type", "retry-after"}}
        content = response["body"] if isinstance(response["body"], str) else json.dumps(response["body"])
        return route.respond(response["status"], headers=kept, content=content)

    return answer
