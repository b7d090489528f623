"""The system check of the keys: run by `check --deploy --database default`, by `serve` and by every ASGI start.

It is a deployment check, so that `migrate`, which a wrong key cannot harm, still runs.
"""

from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.db import DEFAULT_DB_ALIAS

from rapidpro_integration import canaries


@checks.register(checks.Tags.database, deploy=True)
def keys_fit_the_database(databases: Sequence[str] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Report keys that are not what they were, and keys that rows need and the settings lack."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    hint = "docs/operations.md, Keys, says what to do."
    return [
        (checks.Error if problem.is_fatal else checks.Warning)(
            str(problem), hint=hint, id=f"rapidpro_integration.{'E' if problem.is_fatal else 'W'}{problem.kind:03}"
        )
        for problem in canaries.problems()
    ]
