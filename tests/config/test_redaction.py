"""The last line of defence of the logs: no handler prints what looks like a secret."""

import io
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from config.redaction import MASK, RedactingFilter, redacted
from tests.config.test_config import start
from tests.conftest import SECRET

PASSWORD = "hunter2-hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"sent {SECRET}",
        f"sent {SECRET.upper()}",
        f"{{'Authorization': 'Token {SECRET}'}}",
        f"Authorization: Token {PASSWORD}",
        f"authorization=Basic {PASSWORD}==",
        f"(b'authorization', b'Token {PASSWORD}')",
        f"Bearer {PASSWORD}-and-more",
        f"https://user:{PASSWORD}@rapidpro.example/x",
        f"redis://:{PASSWORD}@127.0.0.1:6379/0",
        f"GET /tokens/?token={PASSWORD}&x=1",
        f"GET /x?next=%2Ftokens%2F%3Ftoken%3D{PASSWORD}",
        f"{{'password1': '{PASSWORD}', 'label': 'x'}}",
        f'{{"secret": "{PASSWORD}"}}',
        f"Cookie: device=1; __Host-sessionid={PASSWORD}; other={PASSWORD}",
        f"[('cookie', 'a={PASSWORD}')]",
        f"Set-Cookie: sessionid={PASSWORD}; HttpOnly",
        f"csrfmiddlewaretoken={PASSWORD}",
        f"duplicate key value violates a constraint\nDETAIL:  Key (email)=({PASSWORD}) already exists.",
    ],
)
def test_secret_is_masked_in_every_form(text: str) -> None:
    shown = redacted(text)
    assert MASK in shown
    assert PASSWORD not in shown
    assert SECRET not in shown.lower()


@pytest.mark.parametrize(
    "text",
    [
        "rejected: HTTP 403 at workspace.json, token 5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10, reference 0A1B2C3D",
        "The token “Clinics” was deleted from here.",
        "GET /tokens/5a1e7a8c-7a35-4f0e-9b5f-0e3c7c2f5d10/flows/?after=2024-01-01 200",
        "https://rapidpro.example/api/v2/flows.json timed out after 20 s",
    ],
)
def test_facts_stay(text: str) -> None:
    assert redacted(text) == text


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """Return a logger with a handler as settings make it, and what that prints."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("tests.redaction")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, out
    logger.removeHandler(handler)
    logger.propagate = True


class Shy:
    """An argument that gives the marker only when it is printed."""

    def __str__(self) -> str:
        return SECRET


def test_message_arguments_traceback_and_stack_are_masked(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = log
    logger.error(f"in the message {SECRET}")  # noqa: G004  # that is the case
    logger.error("in the arguments %s %r %s", SECRET, {"token": SECRET}, Shy())
    logger.error("named %(x)s", {"x": SECRET})
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise RuntimeError(f"Authorization: Token {SECRET}") from error
    except RuntimeError:
        logger.exception("with a chain", stack_info=True, extra={"request": SECRET})
    printed = out.getvalue()
    assert SECRET not in printed
    assert printed.count(MASK) >= 7
    assert all(words in printed for words in ("Traceback", "KeyError", "RuntimeError", "Stack (most recent", "with a"))


def test_record_itself_stays_as_it_is_for_other_handlers() -> None:
    record = logging.LogRecord("x", logging.INFO, "file.py", 7, "sent %s", (SECRET,), None)
    copy = RedactingFilter().filter(record)
    assert (record.getMessage(), copy.getMessage()) == (f"sent {SECRET}", f"sent {MASK}")
    assert (copy.name, copy.lineno, copy.created, copy.args) == ("x", 7, record.created, None)


def test_log_call_that_does_not_fit_is_told_and_breaks_nothing() -> None:
    record = logging.LogRecord("x", logging.INFO, "file.py", 7, "one %s two %s", (SECRET,), None)
    shown = RedactingFilter().filter(record).getMessage()
    assert shown == "'one %s two %s' (its values do not fit: TypeError)"


def test_forged_line_is_not_more_than_a_line_for_its_reader(log: tuple[logging.Logger, io.StringIO]) -> None:
    """A line break in what somebody sent must not begin a line of its own: it would look like one of ours."""
    logger, out = log
    logger.warning("Not found: %s", "/x\nERROR accounts.audit forged\r\x1b[31mred\u2028more")
    assert out.getvalue().count("\n") == 1
    assert not {"\r", "\x1b", "\u2028"} & set(out.getvalue())


def test_a_line_costs_little() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "rejected at workspace.json, token %s", ("5a1e7a8c",), None)
    keeper, began = RedactingFilter(), time.process_time()
    for _ in range(1000):
        keeper.filter(record)
    assert time.process_time() - began < 0.5


def test_hostile_line_of_a_megabyte_costs_little_too() -> None:
    for piece in ("a" * 40, "token=", "x://y:", "cookie ", "authorization: ", "Basic ", "%3D"):
        began = time.process_time()
        redacted(piece * (1_000_000 // len(piece)))
        assert time.process_time() - began < 5, piece


# --- Every handler of the site -------------------------------------------------------------------

_HANDLERS = f"""
import logging, uvicorn
uvicorn.Config("config.asgi:application", lifespan="off").load()
loggers = [logging.getLogger(), *map(logging.getLogger, sorted(logging.root.manager.loggerDict))]
for logger in loggers:
    for handler in logger.handlers:
        if not isinstance(handler, logging.NullHandler):
            print(logger.name, type(handler).__name__, [type(each).__name__ for each in handler.filters])
asked = ("127.0.0.1:1", "GET", "/?token={SECRET}", "1.1", 200)
logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', *asked)
for name in ("uvicorn.error", "django", "django.request", "django.server", "accounts", "asyncio", "anything.else"):
    logging.getLogger(name).error("at %s %s", name, "{SECRET}")
"""


@pytest.mark.parametrize("debug", ["true", "false"])
def test_every_handler_of_a_server_has_the_filter(tmp_path: Path, collected: Path, debug: str) -> None:
    # What a server needs to start without DEBUG.
    needs = {"HTTPS": "false", "EMAIL_URL": "dummymail://", "STATIC_ROOT": str(collected)}
    needs |= {"ALLOWED_HOSTS": "localhost", "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    done = start(_HANDLERS, DEBUG=debug, LOG_FILE=f"{tmp_path}/site.log", **needs)
    assert done.returncode == 0, done.stderr
    handlers = done.stdout.splitlines()
    assert len(handlers) >= 6
    assert not [line for line in handlers if "RedactingFilter" not in line]
    assert SECRET not in done.stderr
    lines = [line for line in done.stderr.splitlines() if " at " in line or "GET /?token=" in line]
    assert len(lines) == 8, "each line once"


def test_chatty_libraries_keep_quiet() -> None:
    for name in ("httpx", "httpcore", "aiohttp", "asyncio", "stamina"):
        assert settings.LOGGING["loggers"][name]["level"] == "WARNING"
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)
