"""`make bench-growth`: a week of 10,000 jobs a day; rows and files must not grow.

The limits are a day or two, so a week stands for months with the defaults. What grows are the rows
of the jobs themselves, which are kept for ever.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.results import Row, at_most, figure, publish
from core.data.storage.stores import open_store
from core.db.session import reading
from core.retention import Storage
from migrations import runner
from tests.core.retention.growth import Growth, Size, complete
from tests.support.clocks import StandingClock

STEADY = ("events", "logs", "idempotency_keys", "deliveries", "sources")


def main() -> None:
    """Simulate and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs a day")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--url", default="", help="an empty PostgreSQL database; default: SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = options.url or f"sqlite:///{folder / 'chainrule.sqlite'}"
        runner.upgrade(url)
        clock = StandingClock(url)
        storage = Storage(clock.engine, open_store(f"file://{folder / 'store'}"))
        growth = Growth(clock, storage, folder / "store", options.jobs)
        sizes: list[Size] = []
        for day in range(1, options.days + 1):
            began = time.monotonic()
            sizes.append(growth.day())
            print(f"day {day}: {time.monotonic() - began:.0f} s, {sizes[-1]}", flush=True)
        with reading(clock.engine) as session:
            lost = len(growth.ids) - complete(session)
        clock.engine.dispose()
    publish("growth", rows(sizes, lost, options.jobs))


def rows(sizes: list[Size], lost: int, jobs: int) -> list[Row]:
    """The figures: growth from the third day to the last, and what a day deletes."""
    third, last = sizes[2], sizes[-1]
    days = len(sizes) - 3
    deleted = [sum(size.rows[kind] for kind in STEADY) for size in (third, last)]
    database = (last.database_bytes - third.database_bytes) / max(1, days)
    return [
        at_most(
            "rows that are deleted by age, last day / third day", deleted[1] / deleted[0], "", 1
        ),
        at_most(
            "bytes in the store, last day / third day", last.file_bytes / third.file_bytes, "", 1
        ),
        at_most("jobs without their result or last point", lost, "jobs", 0),
        figure("database for each job, which is kept", database / jobs, "bytes"),
        figure("database on the last day", last.database_bytes / 1e6, "MB"),
        figure("rows and files deleted on the last day", last.freed, ""),
        figure("seconds of the policies on the last day", last.seconds, "s"),
    ]


if __name__ == "__main__":
    main()
