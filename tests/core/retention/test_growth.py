"""The same number of jobs each day: from the day that the limits bite, sizes stay the same."""

from pathlib import Path

from core.db.session import reading
from core.retention import Storage
from tests.core.retention.growth import LIMITS, Growth, complete
from tests.support.clocks import StandingClock

DAYS = 7
JOBS = 100
FEWER = 20
DELETED = ("events", "logs", "idempotency_keys", "deliveries", "sources")


def test_a_week_of_jobs_does_not_grow(
    storage: Storage, clock: StandingClock, tmp_path: Path
) -> None:
    growth = Growth(clock, storage, tmp_path / "store", JOBS)
    sizes = [growth.day() for _ in range(DAYS)]
    steady = [
        (size.freed, size.files, size.file_bytes, {kind: size.rows[kind] for kind in DELETED})
        for size in sizes[2:]
    ]
    assert steady == [steady[0]] * len(steady)
    assert sizes[-1].freed > JOBS
    assert sizes[-1].rows["events"] == sizes[0].rows["events"] > JOBS
    assert sizes[-1].files["checkpoints"] == 0
    with reading(storage.engine) as session:
        assert complete(session) == len(growth.ids) == DAYS * JOBS


def test_nothing_grows_if_jobs_are_deleted_too(
    storage: Storage, clock: StandingClock, tmp_path: Path
) -> None:
    growth = Growth(clock, storage, tmp_path / "store", FEWER, {**LIMITS, "jobs": 3})
    rows = [growth.day().rows for _ in range(DAYS)]
    assert rows[2:] == [rows[2]] * (DAYS - 2)
    assert rows[0]["jobs"] < rows[2]["jobs"]
