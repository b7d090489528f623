"""Faults told to Sentry, on wish: where in the code, of which kind, in which request. Nothing that a value held.

What may go is written down here, and all else stays: an event is made anew out of it (`told`).
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config import request_ids
from config.redaction import redacted

type Event = dict[str, Any]

_PLAIN = ("event_id", "timestamp", "platform", "level", "logger", "environment", "release")
_OF_A_FRAME = ("filename", "function", "module", "lineno", "in_app")


def told(event: Event, hint: Any = None) -> Event:
    """Return what goes out of an event: a message without its values, kinds of exceptions without their words, places.

    Requests, people, local variables, breadcrumbs and whatever else an event may hold stay here.
    """
    kept = {name: event[name] for name in _PLAIN if name in event}
    # The text as it stands in the code: what it was filled with may be anything.
    kept["logentry"] = {"message": redacted(str((event.get("logentry") or {}).get("message") or ""))}
    kept["tags"] = {"request_id": request_ids.current() or "-"}
    causes = (event.get("exception") or {}).get("values") or []
    kept["exception"] = {"values": [_exception(cause) for cause in causes]}
    return kept


def _exception(cause: Event) -> Event:
    frames = (cause.get("stacktrace") or {}).get("frames") or []
    places = [{name: frame[name] for name in _OF_A_FRAME if name in frame} for frame in frames]
    return {"type": cause.get("type"), "module": cause.get("module"), "stacktrace": {"frames": places}}


def start(**options: Any) -> None:
    """Tell faults to SENTRY_DSN, if it is set. Raises ImproperlyConfigured if sentry-sdk is not installed.

    Only what is logged as an error goes there, and an exception that ends the process: no integration looks into
    requests, queries or other people's libraries.
    """
    if not settings.SENTRY_DSN:
        return
    if find_spec("sentry_sdk") is None:
        raise ImproperlyConfigured("SENTRY_DSN is set, and sentry-sdk is not installed: pip install sentry-sdk.")
    sentry = import_module("sentry_sdk")
    kinds = {name: import_module(f"sentry_sdk.integrations.{name}") for name in ("logging", "excepthook", "atexit")}
    sentry.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.SENTRY_ENVIRONMENT,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            kinds["logging"].LoggingIntegration(level=None, event_level="ERROR", sentry_logs_level=None),
            kinds["excepthook"].ExcepthookIntegration(),
            kinds["atexit"].AtexitIntegration(callback=lambda pending, timeout: None),
        ],
        before_send=told,
        before_breadcrumb=lambda crumb, hint: None,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        auto_session_tracking=False,
        send_client_reports=False,
        max_breadcrumbs=0,
        server_name="",
        **options,
    )
