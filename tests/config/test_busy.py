"""Which failures of the database pass by themselves."""

import sqlite3

import pytest
from django.db import OperationalError, connection, transaction

from config.busy import DatabaseFault, fault_of, kinds_of, let_go


def failed(code: int) -> OperationalError:
    """Return what Django raises for this error of SQLite's."""
    of_driver = sqlite3.OperationalError()
    of_driver.sqlite_errorcode = code
    error = OperationalError()
    error.__cause__ = of_driver
    return error


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (5, DatabaseFault.BUSY),
        (6, DatabaseFault.BUSY),
        (517, DatabaseFault.BUSY),
        (8, DatabaseFault.READ_ONLY),
        (1032, DatabaseFault.READ_ONLY),
        (14, DatabaseFault.AWAY),
        (1, None),
        (13, None),
    ],
)
def test_lock_passes_and_a_missing_table_or_a_full_disk_does_not(code: int, fault: DatabaseFault | None) -> None:
    wrapped = RuntimeError("in a view")
    wrapped.__context__ = failed(code)
    assert fault_of(wrapped) is fault
    assert kinds_of(wrapped) == ["RuntimeError", "OperationalError", "OperationalError"]


def test_anything_else_is_no_fault_that_passes() -> None:
    assert fault_of(None) is None
    assert fault_of(ValueError("locked")) is None


def test_chain_that_leads_back_into_itself_ends() -> None:
    first, second = ValueError("first"), OSError("second")
    first.__context__, second.__context__ = second, first
    assert fault_of(first) is None


@pytest.mark.skipif(connection.vendor != "postgresql", reason="a file needs no pool")
@pytest.mark.django_db(transaction=True)
def test_connection_goes_back_to_its_pool_for_a_wait_but_not_in_the_middle_of_a_transaction() -> None:
    with transaction.atomic():
        connection.ensure_connection()
        let_go()
        assert connection.connection is not None
    free = connection.pool.get_stats()["pool_available"]
    let_go()
    assert connection.connection is None
    assert connection.pool.get_stats()["pool_available"] == free + 1
