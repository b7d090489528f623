"""Ways around the log's guards, as somebody with the database's own password has them."""

from collections.abc import Callable

import pytest
from django.db import connection

from accounts.audit import triggers

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
