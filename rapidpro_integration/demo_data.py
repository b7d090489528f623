"""A large set of invented people, tokens, checks and hours: what staff pages look like after a year of use.

The same size gives the same data, but for the nonces of the seals: each token is a random secret, sealed by the vault
for its own row. Servers have names below .example, which no network knows, and no check is due: nothing is ever sent.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.mfa.utils import encrypt
from django.contrib.auth.hashers import make_password
from django.db import connection, models, transaction
from django.tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from accounts.audit.actions import Action, Outcome
from accounts.audit.context import Source, acting_as, name_of
from accounts.audit.services import record
from accounts.models import User
from rapidpro_integration import canaries, vault
from rapidpro_integration.models import (
    RapidProToken,
    Server,
    ServerHour,
    TokenCheck,
    TokenState,
    TokenStateHour,
    Trigger,
    WorkspaceHour,
)
from rapidpro_integration.observations.histogram import BOUNDS_MS, bucket_of
from rapidpro_integration.observations.writing import DURATIONS
from rapidpro_integration.vault import Secret

DOMAIN = "example.org"
_SEED = 20_261_125
_ROWS_AT_ONCE = 2_000
_CHECK_EVERY_H = 6
# As checks are thinned: all of a week, one an hour of a month, one a day before that.
_DAILY_AFTER_DAYS = 30
_WORKSPACE_HOURS_DAYS = 35
_ENTRIES = 1_500

_GIVEN = (
    "Amina", "Joseph", "Fatou", "Kwame", "Léa", "José", "Nguyễn", "Maria", "Ahmed", "Chipo", "Ravi", "Sofía", "Wanjiru",
    "Emmanuel", "Aïcha", "Thabo", "Inês", "محمد", "فاطمة", "ليلى", "Grace", "Samuel", "Nadia", "Tariq", "Zodwa",
)  # fmt: skip
_FAMILY = (
    "Okafor", "Diallo", "Mwangi", "Silva", "Rahman", "Banda", "Traoré", "García", "Phiri", "Kamau", "Nkosi", "Mensah",
    "Haddad", "الحسن", "Sharma", "Moyo", "Sow", "Ferreira", "Abdi", "Tembo",
)  # fmt: skip
_PLACES = (
    "Lagos", "Kano", "Nairobi", "Mombasa", "Dakar", "Thiès", "Lusaka", "Ndola", "Maputo", "Beira", "Bamako", "Kampala",
    "Gulu", "Jakarta", "Manila", "Lima", "Quito", "Kinshasa", "Goma", "Harare", "Aden", "Kigali", "Accra", "Tamale",
)  # fmt: skip
_SUBJECTS = (
    "Nutrition",
    "Immunisation",
    "Schools",
    "Clinics",
    "U-Report",
    "Water",
    "Births",
    "Cash",
    "Malaria",
    "Youth",
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    users: int = 2_000
    tokens: int = 5_000
    days: int = 90


@dataclass(frozen=True, slots=True)
class _Kind:
    """A server: how long its answers take, which part of the requests fails, since how many hours it is down."""

    name: str
    usual_ms: int
    failing: float
    down_h: int = 0
    paused: bool = False


_SERVERS = (
    _Kind("rapidpro", 240, 0.004),
    _Kind("textit", 180, 0.002),
    _Kind("rapidpro.nigeria", 620, 0.012),
    _Kind("rapidpro.kenya", 410, 0.008),
    _Kind("rapidpro.senegal", 540, 0.07),
    _Kind("flows.health", 3_900, 0.03),
    _Kind("rapidpro.zambia", 480, 0.01, down_h=9),
    _Kind("old.rapidpro", 700, 0.05, paused=True),
)
_WEIGHTS = (34, 22, 12, 11, 8, 6, 5, 2)

_STATES = (
    (TokenState.WORKING, 840), (TokenState.REJECTED, 48), (TokenState.NOT_ALLOWED, 22), (TokenState.UNREACHABLE, 14),
    (TokenState.RATE_LIMITED, 18), (TokenState.SERVER_ERROR, 12), (TokenState.NOT_RAPIDPRO, 9),
    (TokenState.UNCHECKED, 17), (TokenState.DISABLED, 20),
)  # fmt: skip
_HTTP: dict[str, tuple[int | None, str]] = {
    TokenState.WORKING: (200, ""),
    TokenState.REJECTED: (403, "rejected"),
    TokenState.NOT_ALLOWED: (403, "not_allowed"),
    TokenState.UNREACHABLE: (None, "unreachable"),
    TokenState.RATE_LIMITED: (429, "rate_limited"),
    TokenState.SERVER_ERROR: (502, "server_error"),
    TokenState.NOT_RAPIDPRO: (200, "not_rapidpro"),
}


def origin_of(kind: _Kind) -> str:
    """Return the address of an invented server."""
    return f"https://{kind.name}.example"


class Maker:
    """Makes the rows; `say` hears of each step. `now` is the newest moment, at the present unless told otherwise."""

    def __init__(self, size: Size, say: Callable[[str], None], now: datetime | None = None) -> None:
        self._size, self._say = size, say
        self._now = now or datetime.now(UTC)
        self._hour = self._now.replace(minute=0, second=0, microsecond=0)
        self._random = random.Random(_SEED)  # noqa: S311  # invented data, the same each time

    def make(self) -> None:
        """Make everything, in one transaction."""
        with transaction.atomic():
            self._servers()
            users = self._users()
            tokens = self._tokens(users)
            self._say(f"{len(users)} people with {len(tokens)} tokens")
            self._say(f"{self._checks(tokens)} checks")
            self._say(f"{self._hours(tokens)} hourly rows")
            self._work()
            self._audit(users, tokens)
        self._statistics()

    def _ago(self, days: float) -> datetime:
        return self._now - timedelta(days=days)

    def _uuid(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)

    # --- Servers, people, tokens ----------------------------------------------------------------

    def _servers(self) -> None:
        Server.objects.bulk_create(
            [
                Server(
                    name=kind.name,
                    origin=origin_of(kind),
                    open_to_all=True,
                    paused=kind.paused,
                    approved_on=self._ago(400),
                )
                for kind in _SERVERS
            ],
            ignore_conflicts=True,
        )

    def _users(self) -> list[User]:
        pick = self._random
        password = make_password(None)
        users = []
        for number in range(1, self._size.users + 1):
            joined = self._ago(pick.uniform(1, 500))
            seen = None if pick.random() < 0.04 else self._ago(min((self._now - joined).days, pick.expovariate(1 / 25)))
            users.append(
                User(
                    username=f"person{number:05}",
                    email=f"person{number:05}@{DOMAIN}",
                    name=f"{pick.choice(_GIVEN)} {pick.choice(_FAMILY)}",
                    password=password,
                    is_active=pick.random() > 0.02,
                    date_joined=joined,
                    last_login=seen,
                    time_zone="UTC",
                )
            )
        User.objects.bulk_create(users, _ROWS_AT_ONCE)
        EmailAddress.objects.bulk_create(
            [EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users], _ROWS_AT_ONCE
        )
        factors = [
            Authenticator(
                user=user,
                type=Authenticator.Type.TOTP,
                data={"secret": encrypt(generate_totp_secret())},
                created_at=user.date_joined,
            )
            for user in users
            if pick.random() < 0.3
        ]
        Authenticator.objects.bulk_create(factors, _ROWS_AT_ONCE)
        return users

    def _tokens(self, users: Sequence[User]) -> list[RapidProToken]:
        pick = self._random
        # A few hold many and every eighth holds none.
        owners = [user for user in users if pick.random() > 0.125] or list(users)
        weights = [pick.paretovariate(1.3) for _ in owners]
        workspaces = [
            (pick.choices(_SERVERS, _WEIGHTS)[0], self._uuid(), f"{pick.choice(_SUBJECTS)} {pick.choice(_PLACES)}")
            for _ in range(max(1, self._size.tokens // 4))
        ]
        states, odds = zip(*_STATES, strict=True)
        with canaries.sealing():
            tokens = [
                self._token(pick.choices(owners, weights)[0], pick.choice(workspaces), pick.choices(states, odds)[0])
                for _ in range(self._size.tokens)
            ]
            RapidProToken.objects.bulk_create(tokens, _ROWS_AT_ONCE)
        # `auto_now_add` has made them all of today.
        for some in batched(tokens, _ROWS_AT_ONCE):
            for token in some:
                token.created_on = token.secret_saved_on
            RapidProToken.objects.bulk_update(some, ["created_on"], batch_size=500)
        return tokens

    def _token(self, owner: User, workspace: tuple[_Kind, UUID, str], state: TokenState) -> RapidProToken:
        pick, (kind, workspace_uuid, name) = self._random, workspace
        origin, row_id = origin_of(kind), self._uuid()
        secret = Secret(f"{pick.getrandbits(160):040x}")
        sealed = vault.seal_token(secret, row_id=row_id, owner_id=owner.pk, origin=origin)
        if kind.down_h and state == TokenState.WORKING:
            state = TokenState.UNREACHABLE
        created = owner.date_joined + (self._now - owner.date_joined) * pick.random()
        is_checked = state not in {TokenState.UNCHECKED, TokenState.DISABLED} or pick.random() < 0.5
        is_known = is_checked and not (state in {TokenState.REJECTED, TokenState.NOT_RAPIDPRO} and pick.random() < 0.3)
        used = None if pick.random() < 0.12 else self._now - (self._now - created) * pick.random() ** 3
        is_fine = state in {TokenState.WORKING, TokenState.UNCHECKED, TokenState.DISABLED, TokenState.RATE_LIMITED}
        broken_h = kind.down_h or pick.uniform(1, 600)
        status, _reason = _HTTP.get(state, (None, ""))
        return RapidProToken(
            id=row_id,
            owner=owner,
            label=f"{name} {pick.randint(1, 9)}",
            server=origin,
            sealed=sealed.text,
            key_id=sealed.key_id,
            fingerprint=vault.ring().fingerprint(secret, owner_id=owner.pk, origin=origin),
            last_four=vault.last_four(secret),
            state=state,
            workspace_uuid=workspace_uuid if is_known else None,
            workspace_name=name if is_known else "",
            workspace_time_zone="UTC" if is_known else "",
            checked_on=self._now - timedelta(hours=pick.uniform(0, _CHECK_EVERY_H)) if is_checked else None,
            check_status=status if is_checked else None,
            check_duration_ms=self._duration(kind) if is_checked else None,
            check_reference=f"{pick.getrandbits(32):08X}" if is_checked else "",
            last_used_on=used,
            retry_on=self._now + timedelta(minutes=pick.uniform(5, 55)) if state == TokenState.RATE_LIMITED else None,
            broken_since=None if is_fine else self._now - timedelta(hours=broken_h),
            failures_in_a_row=0 if is_fine else int(broken_h / _CHECK_EVERY_H) + 1,
            # Nothing is due: an invented token must not be sent anywhere.
            next_check_on=self._now + timedelta(days=3_650),
            secret_saved_on=created,
            rotate_on=created + timedelta(days=180) if pick.random() < 0.1 else None,
        )

    def _duration(self, kind: _Kind) -> int:
        return int(kind.usual_ms * self._random.lognormvariate(0, 0.45)) + 5

    # --- Checks and hours -----------------------------------------------------------------------

    def _checks(self, tokens: Sequence[RapidProToken]) -> int:
        kinds = {origin_of(kind): kind for kind in _SERVERS}
        wanted = (token for token in tokens if token.checked_on is not None)
        fields = [
            "token",
            "started_on",
            "state",
            "kind",
            "http_status",
            "duration_ms",
            "reference",
            "trigger",
            "server",
        ]
        rows = (row for token in wanted for row in self._checks_of(token, kinds[token.server]))
        return _insert(TokenCheck, [*fields, "drift"], rows)

    def _checks_of(self, token: RapidProToken, kind: _Kind) -> Iterator[Sequence[Any]]:
        pick = self._random
        assert token.checked_on is not None  # noqa: S101  # narrows the type: the caller has looked
        at, first = token.checked_on, max(token.created_on, self._ago(self._size.days))
        broken_since = token.broken_since or self._now
        reference, trigger = token.check_reference, Trigger.DUE.value
        while at >= first:
            state = token.state if at >= broken_since else TokenState.WORKING.value
            if at < broken_since and pick.random() < kind.failing:
                state = pick.choice((TokenState.UNREACHABLE.value, TokenState.SERVER_ERROR.value))
            status, reason = _HTTP.get(state, (200, ""))
            duration = self._duration(kind)
            yield (token.pk, at, state, reason, status, duration, reference, trigger, token.server, None)
            daily = (self._now - at).days >= _DAILY_AFTER_DAYS
            at -= timedelta(hours=(24 if daily else _CHECK_EVERY_H) + pick.uniform(-0.3, 0.3))

    def _hours(self, tokens: Sequence[RapidProToken]) -> int:
        number = _insert(ServerHour, [field.name for field in ServerHour._meta.fields[1:]], self._server_hours())
        number += _insert(TokenStateHour, ["hour", "state", "count"], self._state_hours(tokens))
        fields = ["server", "workspace_uuid", "token", "hour", "requests", "rate_limited"]
        return number + _insert(WorkspaceHour, fields, self._workspace_hours(tokens))

    def _each_hour(self, days: int) -> Iterator[datetime]:
        for back in range(days * 24, -1, -1):
            yield self._hour - timedelta(hours=back)

    def _server_hours(self) -> Iterator[Sequence[Any]]:
        for kind, weight in zip(_SERVERS, _WEIGHTS, strict=True):
            for hour in self._each_hour(self._size.days):
                if not kind.paused or hour < self._ago(6):
                    yield self._server_hour(kind, weight, hour)

    def _server_hour(self, kind: _Kind, weight: int, hour: datetime) -> Sequence[Any]:
        pick = self._random
        is_down = bool(kind.down_h) and hour > self._now - timedelta(hours=kind.down_h)
        by_day = 0.35 + max(0.0, 1 - abs(hour.hour - 11) / 8)
        weekday = 0.45 if hour.weekday() > 4 else 1.0
        requests = max(1, int(self._size.tokens / 50 * weight / 10 * by_day * weekday * pick.uniform(0.8, 1.2)))
        failed = requests if is_down else sum(pick.random() < kind.failing for _ in range(min(requests, 400)))
        limited = sum(pick.random() < 0.004 for _ in range(min(requests - failed, 400)))
        refused = min(requests - failed - limited, int(requests * 0.02))
        row: dict[str, Any] = dict.fromkeys((field.name for field in ServerHour._meta.fields[1:]), 0)
        fine = requests - failed - limited - refused
        row |= {"server": origin_of(kind), "hour": hour, "requests": requests, "ok": fine, "rate_limited": limited}
        row |= {"rejected": refused, "status_2xx": fine, "status_4xx": limited + refused}
        unreachable = failed if is_down else failed // 2
        row |= {"unreachable": unreachable, "timed_out": (failed - unreachable) // 3}
        row["server_error"] = row["status_5xx"] = failed - row["unreachable"] - row["timed_out"]
        # A few durations stand for all: a sample with the right shape.
        sample = [self._duration(kind) for _ in range(min(requests, 24))]
        for number in range(requests):
            duration = sample[number % len(sample)]
            row[DURATIONS[bucket_of(duration)]] += 1
            row["duration_ms"] += min(duration, BOUNDS_MS[-1])
        row["last_success_on"] = hour + timedelta(minutes=55) if fine and hour != self._hour else None
        # Renewed in time everywhere but at the shaky ones.
        row["certificate_until"] = None if is_down else self._hour + timedelta(days=9 if kind.failing > 0.05 else 61)
        return [row[field.name] for field in ServerHour._meta.fields[1:]]

    def _state_hours(self, tokens: Sequence[RapidProToken]) -> Iterator[Sequence[Any]]:
        born = sorted(token.created_on for token in tokens)
        shares = {state: sum(token.state == state for token in tokens) / len(tokens) for state in TokenState.values}
        down = {origin_of(kind): kind.down_h for kind in _SERVERS if kind.down_h}
        hit = sum(token.server in down and token.state == TokenState.UNREACHABLE for token in tokens)
        there = 0
        for hour in self._each_hour(self._size.days):
            while there < len(born) and born[there] <= hour:
                there += 1
            counts = {state: int(share * there) for state, share in shares.items()}
            if hour <= self._now - timedelta(hours=max(down.values(), default=0)):
                moved = min(hit, counts[TokenState.UNREACHABLE])
                counts[TokenState.UNREACHABLE] -= moved
                counts[TokenState.WORKING] += moved
            counts[TokenState.WORKING] += there - sum(counts.values())
            yield from ((hour, state, count) for state, count in counts.items() if count)

    def _workspace_hours(self, tokens: Sequence[RapidProToken]) -> Iterator[Sequence[Any]]:
        pick, days = self._random, min(self._size.days, _WORKSPACE_HOURS_DAYS)
        for token in tokens:
            if token.workspace_uuid is None or token.last_used_on is None:
                continue
            hours: dict[datetime, int] = {}
            for back in range(days):
                if pick.random() < 0.4:
                    for _ in range(pick.randint(1, 4)):
                        hour = self._hour - timedelta(days=back, hours=pick.randint(0, 10))
                        hours[hour] = int(pick.paretovariate(1.1) * 6) % 2_400 + 1
            for hour, requests in hours.items():
                limited = requests // 20 if requests > 1_500 else 0
                yield (token.server, token.workspace_uuid, token.pk, hour, requests, limited)

    # --- Work and log ---------------------------------------------------------------------------

    def _work(self) -> None:
        pick = self._random
        rows: list[Any] = []
        for _ in range(200):
            begun = self._ago(pick.uniform(0, 3))
            has_failed = pick.random() < 0.03
            rows.append(
                DBTaskResult(
                    id=self._uuid(),
                    status=TaskResultStatus.FAILED if has_failed else TaskResultStatus.SUCCESSFUL,
                    started_at=begun,
                    finished_at=begun + timedelta(seconds=pick.uniform(1, 90)),
                    args_kwargs={"args": [str(self._uuid())], "kwargs": {}},
                    task_path="rapidpro_integration.staff.bulk.run_later",
                    worker_ids=["demo"],
                    backend_name="default",
                    run_after=begun,
                    exception_class_path="django.db.utils.OperationalError" if has_failed else "",
                    traceback="",
                )
            )
        DBTaskResult.objects.bulk_create(rows)
        for row in rows:
            row.enqueued_at = row.run_after  # `auto_now_add` has made them all of now
        DBTaskResult.objects.bulk_update(rows, ["enqueued_at"])

    def _audit(self, users: Sequence[User], tokens: Sequence[RapidProToken]) -> None:
        """Write entries as the site itself does, one after the other: the log takes them in no other way."""
        pick, by_id = self._random, {user.pk: user for user in users}
        with acting_as("manage.py demo"):
            for token in pick.sample(tokens, min(_ENTRIES, len(tokens))):
                action = pick.choice((Action.TOKEN_ADDED, Action.TOKEN_CHECKED, Action.TOKEN_RENAMED))
                person = by_id[token.owner_id]
                by = Source(person.pk, name_of(person), f"10.0.{pick.randint(0, 255)}.{pick.randint(1, 254)}", "Demo")
                outcome = pick.choices((Outcome.DONE, Outcome.REFUSED, Outcome.FAILED), (90, 7, 3))[0]
                record(action, token=token, by=by, outcome=outcome, details={"server": token.server})

    def _statistics(self) -> None:
        """Let PostgreSQL count its tables now, so that the first page is planned as the thousandth one."""
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")


def _insert(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Insert the rows, with COPY where there is one; return how many. Made for a million of them."""
    by_name = {field.name: field for field in model._meta.concrete_fields}
    fields = [by_name[name] for name in names]
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    table, number = connection.ops.quote_name(model._meta.db_table), 0
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
                    number += 1
            return number
        places = ", ".join(["%s"] * len(fields))
        for some in batched(rows, _ROWS_AT_ONCE):
            prepared = [
                [field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=True)]
                for row in some
            ]
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", prepared)  # noqa: S608
            number += len(some)
    return number
