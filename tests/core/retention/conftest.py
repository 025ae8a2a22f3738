"""Fixtures of the tests of retention: a database whose clock a test moves, and a store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.data.storage.stores import open_store
from core.retention import Storage
from tests.support.clocks import StandingClock


@pytest.fixture
def clock(database_url: str) -> Iterator[StandingClock]:
    """The clock of a fresh database, one of each kind in turn."""
    clock = StandingClock(database_url)
    yield clock
    clock.engine.dispose()


@pytest.fixture
def storage(clock: StandingClock, tmp_path: Path) -> Storage:
    """The database of the clock, and a store on the disk."""
    return Storage(clock.engine, open_store(f"file://{tmp_path / 'store'}"))
