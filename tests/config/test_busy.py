"""Which failures of the database pass by themselves."""

import sqlite3

import pytest
from django.db import OperationalError, connection, transaction

from config.busy import is_busy, let_go


def failed(code: int) -> OperationalError:
    """Return what Django raises for this error of SQLite's."""
    of_driver = sqlite3.OperationalError()
    of_driver.sqlite_errorcode = code
    error = OperationalError()
    error.__cause__ = of_driver
    return error


@pytest.mark.parametrize(("code", "busy"), [(5, True), (6, True), (517, True), (1, False), (13, False), (14, False)])
def test_lock_passes_and_a_missing_table_or_a_full_disk_does_not(code: int, busy: bool) -> None:
    wrapped = RuntimeError("in a view")
    wrapped.__context__ = failed(code)
    assert is_busy(wrapped) is busy


def test_anything_else_is_not_busy() -> None:
    assert not is_busy(None)
    assert not is_busy(ValueError("locked"))


def test_chain_that_leads_back_into_itself_ends() -> None:
    first, second = ValueError("first"), OSError("second")
    first.__context__, second.__context__ = second, first
    assert not is_busy(first)


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
