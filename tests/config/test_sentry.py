"""What goes to Sentry, seen at the door, with the real package; without it these are left out."""

import json
from typing import Any

import pytest

from config import sentry
from tests.config.test_config import start
from tests.conftest import PASSWORD, SECRET

DSN = "https://public@sentry.example/1"

_BREAK = f"""
import logging, sys
import django
from config import sentry
out = []

import sentry_sdk.transport
class Door(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        out.append(envelope.serialize().decode())

begin = sentry.start
sentry.start = lambda: begin(transport=Door)
django.setup()
import sentry_sdk
from config import request_ids
sentry_sdk.set_user({{"email": "owner@example.org"}})
sentry_sdk.set_tag("token", "{SECRET}")
sentry_sdk.set_context("more", {{"token": "{SECRET}"}})
sentry_sdk.add_breadcrumb(message="{SECRET}")
log = logging.getLogger("anything")
def breaks(secret):
    log.info("before %s", secret)
    try:
        raise ValueError(f"cannot use {{secret}}")
    except ValueError as error:
        raise KeyError(secret) from error
with request_ids.begun(None) as given:
    try:
        breaks("{SECRET}")
    except KeyError:
        log.exception("broke with %s and %s", "{SECRET}", {{"password": "{PASSWORD}"}}, extra={{"x": "{SECRET}"}})
    log.error("token={SECRET}", stack_info=True)
    log.warning("no error")
sentry_sdk.flush()
print(given)
print("\\n=====\\n".join(out))
"""


def test_nothing_but_places_and_kinds_goes_out() -> None:
    pytest.importorskip("sentry_sdk")
    done = start(_BREAK, SENTRY_DSN=DSN)
    assert done.returncode == 0, done.stderr
    given, _, sent = done.stdout.partition("\n")
    for secret in (SECRET, PASSWORD, "owner@example.org", "cannot use"):
        assert secret not in sent
    first, second = [json.loads(envelope.splitlines()[2]) for envelope in sent.split("\n=====\n")]
    assert first["logentry"]["message"] == "broke with %s and %s"
    assert [cause["type"] for cause in first["exception"]["values"]] == ["ValueError", "KeyError"]
    frames = first["exception"]["values"][1]["stacktrace"]["frames"]
    assert [frame["function"] for frame in frames] == ["<module>", "breaks"]
    assert first["tags"] == {"request_id": given}
    assert second["level"] == "error"


def test_event_is_made_of_what_may_go() -> None:
    event: dict[str, Any] = {
        "event_id": "1",
        "request": {"headers": {"Authorization": SECRET}, "url": SECRET},
        "user": {"id": SECRET},
        "extra": {"x": SECRET},
        "modules": {"x": SECRET},
        "logentry": {"message": f"Token {SECRET}", "formatted": SECRET, "params": [SECRET]},
        "exception": {
            "values": [
                {
                    "type": "ValueError",
                    "value": SECRET,
                    "mechanism": {"data": SECRET},
                    "stacktrace": {"frames": [{"function": "f", "vars": {"x": SECRET}, "context_line": SECRET}]},
                }
            ]
        },
    }
    kept = sentry.told(event)
    assert SECRET not in repr(kept)
    assert kept["exception"]["values"][0]["stacktrace"]["frames"] == [{"function": "f"}]
    assert sentry.told({}) == {
        "logentry": {"message": ""},
        "tags": {"request_id": "-"},
        "exception": {"values": []},
    }


def test_setting_without_the_package_stops_the_start() -> None:
    code = "import sys, importlib.util as u; real = u.find_spec\n"
    code += "u.find_spec = lambda name, *a: None if name == 'sentry_sdk' else real(name, *a)\n"
    assert "sentry-sdk is not installed" in start(code + "import django; django.setup()", SENTRY_DSN=DSN).stderr
