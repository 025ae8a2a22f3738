"""Fixtures for tests of the worker: settings, a stored dataset, queued jobs, a slot."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from chainrule.contract.metric_names import MACHINE
from core import jobs
from core.data.ingest.parser import ParsedDataset, parse
from core.data.storage.stores import open_store
from core.datasets import blobs, register
from core.db.engine import make_engine
from core.db.session import reading, transaction
from core.db.tables import Attempt, Job
from core.settings import Settings
from core.spec.inference import Inference
from tests.support.job_cases import spec
from worker.node.context import Equipment
from worker.node.drain import Drain
from worker.slot import Slot

DIGITS_CSV = Path(__file__).parents[2] / "examples" / "digits.csv"

LONG: dict[str, Any] = {"epochs": 1_000_000, "report_steps": 50}
"""A job that trains until it is stopped."""

CONSTANT_NETWORK: list[dict[str, Any]] = [
    {"kind": "dense", "units": 4, "weight_initializer": {"kind": "zeros"}},
    {"kind": "relu"},
    {"kind": "dense", "units": 10},
]
"""Layers that learn nothing but a constant."""


class Bench:
    """A node with one slot on databases and folders of its own."""

    def __init__(self, database_url: str, folder: Path, digits: ParsedDataset, **more: Any) -> None:
        given: dict[str, Any] = {
            "data_dir": folder / "data",
            "database_url": database_url,
            "lease_seconds": 6.0,
            "chunk_seconds": 0.1,
            "threads": 1,
            "node_name": "bench",
        }
        self.settings = Settings(**(given | more))
        self.engine: Engine = make_engine(database_url)
        self.drain = Drain()
        self.store = open_store(self.settings.resolved_store_url)
        with transaction(self.engine) as session:
            self.version = register(session, "digits", digits)
        blobs.keep(self.store, digits)
        self.equipment = Equipment(self.settings, self.drain, "bench-1")
        self.slot = Slot(self.equipment)

    def submit(self, *, stack_key: str | None = None, **fields: Any) -> str:
        """Queue a job; its id."""
        with transaction(self.engine) as session:
            job = spec(**fields)
            made = jobs.submit(session, job, self.version, owner="local", stack_key=stack_key)
            return made.id

    def infer(self, asked: Inference, trained_id: str) -> str:
        """Queue a job that uses the model of another; its id."""
        with transaction(self.engine) as session:
            trained = jobs.get(session, trained_id)
            made = jobs.infer(session, asked, trained, self.version, owner="local", model="m@1")
            return made.id

    def job(self, job_id: str) -> Job:
        """The row as it is now."""
        with reading(self.engine) as session:
            return jobs.get(session, job_id)

    def result(self, job_id: str) -> dict[str, Any]:
        """The result of a job that ended. Raises AssertionError without one."""
        result = self.job(job_id).result
        assert result is not None, f"{job_id} has no result"
        return result

    def attempts(self, job_id: str) -> list[Attempt]:
        """The attempts so far."""
        with reading(self.engine) as session:
            return jobs.attempts(session, job_id)

    def log_lines(self, job_id: str) -> list[str]:
        """The lines of a job's log."""
        with reading(self.engine) as session:
            return [line.text for line in jobs.log_lines(session, job_id)]

    def history(self, job_id: str, *, machine: bool = False) -> dict[str, list[tuple[int, float]]]:
        """The surviving points of a job: step and value by metric; or those of its machine."""
        with reading(self.engine) as session:
            series = jobs.metrics(session, job_id).series
            return {
                key: [(int(row["step"]), float(row["value"])) for row in packed]
                for key, packed in series.items()
                if key.startswith(MACHINE) == machine
            }

    @contextmanager
    def working(self, job_id: str) -> Iterator[threading.Thread]:
        """The slot at work on a job in a thread; it is drained at the end."""
        thread = threading.Thread(target=self.slot.work, args=(job_id,))
        thread.start()
        try:
            yield thread
        finally:
            self.drain.begin()
            thread.join(30)
            assert not thread.is_alive(), "the slot did not drain"

    def again(self) -> None:
        """Let the drained slot take jobs again."""
        self.equipment.drain = self.drain = Drain()

    def close(self) -> None:
        """Close the slot and the engine."""
        self.equipment.close()
        self.engine.dispose()


def until(condition: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    """Wait until `condition` is true; its value. Raises AssertionError after `seconds`."""
    give_up_at = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < give_up_at, "the condition did not become true"
        time.sleep(0.02)
    return value


def parse_digits(folder: Path) -> ParsedDataset:
    """The shipped digits as a canonical file."""
    return parse(DIGITS_CSV, "text/csv", folder / "digits.arrow")
