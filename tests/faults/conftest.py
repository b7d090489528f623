"""A heap that is looked at quickly."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _frozen_heap() -> Iterator[None]:
    """Keep what the run holds already out of every collection: with thousands of tests it takes a second each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
