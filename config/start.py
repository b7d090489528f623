"""What a server makes sure of before it serves."""

import logging
from concurrent.futures import ThreadPoolExecutor

from django.core.checks import CheckMessage, Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections

logger = logging.getLogger(__name__)


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
