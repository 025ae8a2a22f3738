"""The path of a metric point in Chainrule: slot and runner, recorder, mirror, MLflow."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np

from core import datasets, jobs
from core.data.ingest.parser import parse
from core.data.storage.stores import open_store
from core.db.engine import make_engine
from core.db.session import reading, transaction
from core.events import Codec, StepEnded, TrainingEnded
from core.settings import Settings
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.tracking import MlflowServer
from migrations import runner
from worker.attempt.members import Members
from worker.attempt.progress import Progress, Timeline
from worker.attempt.recorder import Recorder
from worker.mlflow.jobs import JobMirror
from worker.node.context import Equipment
from worker.node.drain import Drain
from worker.slot import Slot

LEASE_SECONDS = 3600.0
KEY = "train/batch_loss"
_POLL_SECONDS = 0.1


class Ours:
    """A node with one slot on a database of its own, which mirrors to the MLflow at `url`."""

    def __init__(self, folder: Path, csv: Path, url: str) -> None:
        folder.mkdir()
        database = f"sqlite:///{folder / 'database.sqlite'}"
        runner.upgrade(database)
        self._folder = folder
        self._engine = make_engine(database)
        self._settings = Settings(
            database_url=database, data_dir=folder / "data", mlflow_url=url, threads=1
        )
        store = open_store(self._settings.resolved_store_url)
        self._mirror = JobMirror(self._engine, store, self._settings)
        self._mlflow = MlflowServer(url)
        self._table = parse(csv, "text/csv", folder / "digits.arrow")
        datasets.keep(store, self._table)
        with transaction(self._engine) as session:
            datasets.register(session, "digits", self._table)
        self._equipment = Equipment(self._settings, Drain(), "bench")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._equipment.close()
        self._mirror.close()
        self._mlflow.close()
        self._engine.dispose()

    def send(self, steps: list[dict[str, float]]) -> None:
        """Record and mirror the metrics of each step, until MLflow has all of them.

        The points lie 2 ms apart, so that nothing is thinned: MLflow receives every point.
        """
        job_id = self._submitted({})
        with transaction(self._engine) as session:
            claim = jobs.claim(
                session, job_id, node="bench", worker="bench", lease_seconds=LEASE_SECONDS
            )
        assert claim is not None
        begun = time.monotonic()
        progress = Progress([claim], Timeline(claim.claimed_at, begun))
        seconds = self._settings.chunk_seconds
        recorder = Recorder(self._engine, Members([claim]), progress, chunk_seconds=seconds)
        recorder.start()
        for step, metrics in enumerate(steps):
            recorder.add(StepEnded(step, 0, metrics), begun + 0.002 * step)
        ticket = recorder.ticket()
        while not recorder.wait(ticket, 0.0):
            self._mirror.sync(job_id)
        recorder.end()
        while not self._mirror.sync(job_id):
            pass

    def alone(self, changes: dict[str, Any]) -> float:
        """Return the seconds that a runner trains without a recorder."""
        spec = JobSpec.model_validate({**DIGITS, **changes})
        process = self._equipment.runner()
        workdir = self._folder / f"alone-{time.monotonic_ns()}"
        workdir.mkdir()
        process.begin(
            {
                "kind": "train",
                "specs": [spec.model_dump(mode="json")],
                "table": str(self._table.path),
                "workdir": str(workdir),
                "resume": None,
                "checkpoint_seconds": self._settings.checkpoint_seconds,
                "data_memory_bytes": self._equipment.data_memory_bytes,
                "arrival": None,
                "alive_until": time.monotonic() + LEASE_SECONDS,
            }
        )
        first = last = 0.0
        while (message := process.receive(60.0)) is not None and message["say"] != "ended":
            if message["say"] != "event":
                continue
            event = Codec.decode({key: value for key, value in message.items() if key != "say"})
            if isinstance(event, StepEnded | TrainingEnded):
                last = time.monotonic()
                first = first or last
        return last - first

    def recorded(self, changes: dict[str, Any]) -> float:
        """Return the seconds from the first to the last event of a job that a slot trains."""
        job_id = self._submitted(changes)
        Slot(self._equipment).work(job_id)
        moments = self._history(job_id)["at_ms"]
        return float(moments.max() - moments.min()) / 1000

    def delays(self, changes: dict[str, Any]) -> list[float]:
        """Return, for each reported step, the seconds until MLflow showed it or a later one.

        MLflow is queried ten times a second, so they are up to 0.1 s too long.
        """
        job_id = self._submitted(changes)
        with self._watched(job_id) as seen:
            Slot(self._equipment).work(job_id)
            points = self._history(job_id)
            while not seen or seen[-1][1] < int(points["step"].max()):
                time.sleep(_POLL_SECONDS)
        moments = np.array([moment for moment, _ in seen])
        first_seen = np.searchsorted([step for _, step in seen], points["step"])
        late: list[float] = (moments[first_seen] - points["at_ms"] / 1000).tolist()
        return late

    @contextmanager
    def _watched(self, job_id: str) -> Iterator[list[tuple[float, int]]]:
        """Yield the times at which MLflow showed a newer step, from a thread that queries it."""
        seen: list[tuple[float, int]] = []
        ended = threading.Event()

        def query() -> None:
            while not ended.wait(_POLL_SECONDS):
                with reading(self._engine) as session:
                    run_id = jobs.get(session, job_id).mlflow_run_id
                if run_id is None:
                    continue
                metrics = self._mlflow.get_run(run_id)["data"].get("metrics", [])
                for metric in metrics:
                    if metric["key"] == KEY and (not seen or metric["step"] > seen[-1][1]):
                        seen.append((time.time(), int(metric["step"])))

        thread = threading.Thread(target=query)
        thread.start()
        try:
            yield seen
        finally:
            ended.set()
            thread.join()

    def _history(self, job_id: str) -> Any:
        """Return the points of single updates, by step."""
        with reading(self._engine) as session:
            return jobs.metrics(session, job_id, [KEY]).series[KEY]

    def _submitted(self, changes: dict[str, Any]) -> str:
        with transaction(self._engine) as session:
            version = datasets.resolve(session, "digits@1")
            spec = JobSpec.model_validate({**DIGITS, **changes})
            return jobs.submit(session, spec, version, owner="local").id
