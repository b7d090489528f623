"""Which failures of the database pass by themselves."""

import sqlite3

import pytest
from django.db import OperationalError

from config.busy import is_busy


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
