"""Passwords: how they are digested, how much memory that may take, and what happens to those who find no room."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core import mail
from django.test import AsyncClient, Client
from pytest_django import Settings

from accounts.hashers import Argon2Hasher, HashingBusy, Workers, workers
from accounts.models import User
from tests.accounts.test_accounts import NEW_PASSWORD, SIGN_UP, is_signed_in, link_in_mail, sign_in
from tests.conftest import PASSWORD, just_proved

ARGON2 = "accounts.hashers.Argon2Hasher"


@pytest.fixture
def argon2(settings: Settings) -> Iterator[Settings]:
    """Digest passwords as production does; return the settings."""
    settings.PASSWORD_HASHERS = [ARGON2, "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    settings.PASSWORD_HASH_WAIT_S = 0.05
    workers.cache_clear()
    yield settings
    workers.cache_clear()


def test_digest_is_argon2id_with_19_mib_two_passes_and_one_lane() -> None:
    encoded = Argon2Hasher().encode(PASSWORD, "a salt of 16 byt")
    assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert Argon2Hasher().verify(PASSWORD, encoded)
    assert not Argon2Hasher().verify("wrong", encoded)
    assert not Argon2Hasher().must_update(Argon2Hasher().encode(PASSWORD, Argon2Hasher().salt()))


def test_old_digest_is_replaced_at_the_next_sign_in(client: Client, owner: User, argon2: Settings) -> None:
    old = PBKDF2PasswordHasher().encode(PASSWORD, "salt", iterations=1000)
    User.objects.update(password=old)
    sign_in(client, "owner", "wrong password!")
    owner.refresh_from_db()
    assert owner.password == old
    sign_in(client, "owner")
    assert is_signed_in(client)
    owner.refresh_from_db()
    assert owner.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def test_wrong_password_is_digested_once_whether_the_account_exists_or_not(
    client: Client, owner: User, argon2: Settings
) -> None:
    owner.set_password(PASSWORD)
    owner.save()
    for login in ("owner", "owner@example.org", "nobody", "nobody@example.org"):
        with CountedDigests() as digests:
            sign_in(client, login, "wrong password!")
        assert digests.count == 1, login


class CountedDigests:
    """Counts what the workers of this process are given."""

    count = 0

    def __enter__(self) -> Self:
        self._pool = workers()._pool
        vars(workers())["_pool"] = self
        return self

    def submit(self, work: Callable[[], object]) -> Future[object]:
        self.count += 1
        return self._pool.submit(work)

    def __exit__(self, *exception: object) -> None:
        vars(workers())["_pool"] = self._pool


# --- Room ---------------------------------------------------------------------------------------


@contextmanager
def full_house() -> Iterator[None]:
    """Keep the only worker busy for the length of the block."""
    leave = threading.Event()
    held = threading.Thread(target=workers().run, args=[leave.wait])
    held.start()
    while workers()._room._value:
        time.sleep(0.001)
    yield
    leave.set()
    held.join()


@pytest.fixture
def no_room(argon2: Settings, owner: User) -> Iterator[None]:
    """Take every place, and every place of the queue, for as long as the test lasts."""
    owner.set_password(PASSWORD)
    owner.save()
    argon2.PASSWORD_HASHES_AT_ONCE, argon2.PASSWORD_HASHES_WAITING = 1, 0
    workers.cache_clear()
    with full_house():
        yield


def assert_busy(response: Any) -> None:
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert "One moment, please" in response.content.decode()


def test_every_page_that_digests_a_password_says_503_and_does_nothing(
    client: Client, owner: User, no_room: None
) -> None:
    before = owner.password
    assert_busy(client.post("/accounts/login/", {"login": "owner", "password": PASSWORD}))
    assert not is_signed_in(client)
    assert_busy(client.post("/accounts/signup/", SIGN_UP))
    assert User.objects.count() == 1
    client.post("/accounts/password/reset/", {"email": "owner@example.org"})
    address = client.get(link_in_mail(), follow=True).request["PATH_INFO"]
    sent = len(mail.outbox)
    assert_busy(client.post(address, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}))
    just_proved(client, owner)
    data = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert_busy(client.post("/accounts/password/change/", data))
    assert_busy(client.post("/accounts/reauthenticate/", {"password": PASSWORD}))
    owner.refresh_from_db()
    assert (owner.password, len(mail.outbox)) == (before, sent)


def test_sign_in_that_found_no_room_is_no_wrong_password(client: Client, owner: User, argon2: Settings) -> None:
    argon2.PASSWORD_HASHES_AT_ONCE, argon2.PASSWORD_HASHES_WAITING = 1, 0
    workers.cache_clear()
    owner.set_password(PASSWORD)
    owner.save()
    with full_house():
        for _ in range(8):
            assert_busy(client.post("/accounts/login/", {"login": "owner", "password": PASSWORD}))
    sign_in(client, "owner")
    assert is_signed_in(client)


async def test_async_stack_says_503_too(async_client: AsyncClient, no_room: None) -> None:
    assert_busy(await async_client.post("/accounts/login/", {"login": "owner", "password": PASSWORD}))


def test_queue_is_short_and_its_places_come_free_again() -> None:
    places = Workers(at_once=1, waiting=1, wait_s=5)
    leave, done = threading.Event(), []

    def work() -> None:
        leave.wait(5)
        done.append(1)

    inside = [threading.Thread(target=places.run, args=[work]) for _ in range(2)]
    for thread in inside:
        thread.start()
    while places._room._value:
        time.sleep(0.001)
    with pytest.raises(HashingBusy):
        places.run(work)
    leave.set()
    for thread in inside:
        thread.join(5)
    assert done == [1, 1]
    with pytest.raises(ZeroDivisionError):
        places.run(lambda: 1 // 0)
    assert places.run(lambda: "again") == "again"
    assert places._room._value == 2


def test_whoever_waits_too_long_is_sent_away_and_their_password_is_not_digested() -> None:
    places = Workers(at_once=1, waiting=1, wait_s=0.05)
    leave, done = threading.Event(), []
    held = threading.Thread(target=places.run, args=[leave.wait])
    held.start()
    while places._room._value == 2:
        time.sleep(0.001)
    with pytest.raises(HashingBusy):
        places.run(lambda: done.append(1))
    leave.set()
    held.join(5)
    assert places.run(lambda: "again") == "again"
    assert done == []


# Two digests of 19 MiB, and room for what 50 pages and the allocator leave behind: 34 to 58 MiB when measured. Fifty
# digests would be 950; two at a time in the threads of the requests were 360, with a short queue 200.
LIMIT_KIB = 100 * 1024


def storm(folder: Path, **environment: str) -> dict[str, Any]:
    script = Path(__file__).with_name("sign_in_storm.py")
    done = subprocess.run(
        [sys.executable, script, folder],
        env=os.environ | {"PYTHONPATH": str(django_settings.BASE_DIR), "LOG_LEVEL": "CRITICAL"} | environment,
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_fifty_sign_ins_at_once_take_the_memory_of_two(tmp_path: Path) -> None:
    found = storm(tmp_path, PASSWORD_HASHES_AT_ONCE="2", PASSWORD_HASHES_WAITING="48", PASSWORD_HASH_WAIT_S="60")
    assert found["grown_kib"] < LIMIT_KIB, found
    assert found["statuses"] == {"302": 50}


def test_short_queue_turns_the_rest_away_with_a_time_to_come_back(tmp_path: Path) -> None:
    found = storm(tmp_path, PASSWORD_HASHES_AT_ONCE="2", PASSWORD_HASHES_WAITING="4", PASSWORD_HASH_WAIT_S="3")
    assert found["grown_kib"] < LIMIT_KIB, found
    assert set(found["statuses"]) == {"302", "503"}, found
    assert sum(found["statuses"].values()) == 50
    assert found["retry_after"] == ["6"]


# --- What a password may be ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "is_good"),
    [
        ("elevenchars", False),
        ("password1234", False),
        ("twelve chars", True),
        ("a" * 6 + "b" * 6, True),
        ("unbelievably long " * 55, True),
        ("x" * 1001, False),
    ],
    ids=lambda value: str(value)[:16],
)
def test_length_and_the_common_list_decide_and_nothing_else(
    client: Client, db: None, password: str, is_good: bool
) -> None:
    client.post("/accounts/signup/", SIGN_UP | {"password1": password, "password2": password})
    assert User.objects.exists() is is_good
