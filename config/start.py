"""What a server makes sure of before it serves."""

import logging
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.core.checks import CheckMessage, Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections

logger = logging.getLogger(__name__)


def bound_statements() -> None:
    """Let no statement of this process keep a person waiting for ever: PostgreSQL ends it, and they get a 503.

    Called before the first connection is made.
    """
    limit_ms = settings.DATABASE_STATEMENT_TIMEOUT_S * 1000
    if settings.DATABASES[DEFAULT_DB_ALIAS]["ENGINE"] == "django.db.backends.postgresql" and limit_ms:
        options = settings.DATABASES[DEFAULT_DB_ALIAS]["OPTIONS"]
        options["options"] += f" -c statement_timeout={limit_ms} -c lock_timeout={limit_ms // 2}"


def refuse_unfit_database() -> None:
    """Run the checks that look into the database, and raise ImproperlyConfigured if one finds an error.

    A thread does it: servers import the application inside their event loop, where Django refuses to query.
    """
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(_database_checks).result()
    serious = [str(message) for message in found if message.is_serious() and not message.is_silenced()]
    if serious:
        raise ImproperlyConfigured("\n".join(serious))
    for message in found:
        logger.warning("%s", message)


def _database_checks() -> list[CheckMessage]:
    try:
        return run_checks(tags=[Tags.database], include_deployment_checks=True, databases=[DEFAULT_DB_ALIAS])
    finally:
        connections.close_all()
