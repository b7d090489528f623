"""What a server makes sure of before it serves."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.conf import settings
from django.core.checks import CheckMessage, Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections

from config.checks import PRODUCTION

logger = logging.getLogger(__name__)


def bound_statements() -> None:
    """Let no statement of this process keep a person waiting for ever: PostgreSQL ends it, and they get a 503.

    Called before the first connection is made.
    """
    limit_ms = settings.DATABASE_STATEMENT_TIMEOUT_S * 1000
    if settings.DATABASES[DEFAULT_DB_ALIAS]["ENGINE"] == "django.db.backends.postgresql" and limit_ms:
        options = settings.DATABASES[DEFAULT_DB_ALIAS]["OPTIONS"]
        options["options"] += f" -c statement_timeout={limit_ms} -c lock_timeout={limit_ms // 2}"


@dataclass(frozen=True, slots=True)
class Faults:
    """What the checks found, each with what to do: what keeps the site from serving, and what does not."""

    errors: list[str]
    warnings: list[str]


def faults() -> Faults:
    """Run the checks of a production and those that look into the database.

    A thread does it: servers import the application inside their event loop, where Django refuses to query.
    """
    with ThreadPoolExecutor(1) as thread:
        found = [message for message in thread.submit(_checks).result() if not message.is_silenced()]
    return Faults(
        errors=[str(message) for message in found if message.is_serious()],
        warnings=[str(message) for message in found if not message.is_serious()],
    )


def refuse_faults() -> None:
    """Raise ImproperlyConfigured with a sentence for each error that the checks find; log what is a warning."""
    found = faults()
    if found.errors:
        raise ImproperlyConfigured("\n".join(found.errors))
    for warning in found.warnings:
        logger.warning("%s", warning)


def _checks() -> list[CheckMessage]:
    try:
        return run_checks(
            tags=[Tags.database, PRODUCTION], include_deployment_checks=True, databases=[DEFAULT_DB_ALIAS]
        )
    finally:
        connections.close_all()
