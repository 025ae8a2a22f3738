"""Our way of a metric point: recorder, database, mirror, MLflow; in the process that measures."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from core import datasets, jobs
from core.data.intake import parse
from core.data.stores import open_store
from core.db.engine import make_engine
from core.db.session import transaction
from core.events import Event
from core.jobs import Point
from core.settings import Settings
from core.spec import JobSpec
from core.spec.job import DIGITS
from migrations import runner
from worker.mirror import Mirror, MirrorThread
from worker.recorder import Recorder
from worker.story import Story

CHUNK = 500
LEASE_SECONDS = 3600.0


class Ours:
    """A database with a dataset, and a mirror to the MLflow server at `url`."""

    def __init__(self, folder: Path, csv: Path, url: str) -> None:
        folder.mkdir()
        database = f"sqlite:///{folder / 'database.sqlite'}"
        runner.upgrade(database)
        self._engine = make_engine(database)
        self._settings = Settings(database_url=database, data_dir=folder / "data", mlflow_url=url)
        self._store = open_store(self._settings.resolved_store_url)
        self._mirror = Mirror(self._engine, self._store, self._settings)
        parsed = parse(csv, "text/csv", folder / "digits.arrow")
        datasets.keep(self._store, parsed)
        with transaction(self._engine) as session:
            datasets.register(session, "digits", parsed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._mirror.close()
        self._engine.dispose()

    def send(self, steps: list[dict[str, float]]) -> None:
        """Write the metrics of each step in chunks, and mirror them until MLflow has them all.

        Told at 500 steps a second, so that nothing is thinned: MLflow gets every point.
        """
        claim = self._claimed()
        now_ms = int(1000 * time.time())
        points = [
            Point(key, step, 0, now_ms + 2 * step, value)
            for step, metrics in enumerate(steps)
            for key, value in metrics.items()
        ]
        for sequence, start in enumerate(range(0, len(points), CHUNK), 1):
            chunk = points[start : start + CHUNK]
            with transaction(self._engine) as session:
                jobs.record_metrics(session, claim.job_id, claim.attempt, sequence, chunk)
        while not self._mirror.turn(claim.job_id):
            pass

    @contextmanager
    def recording(self) -> Iterator[Callable[[Event], None]]:
        """A sink for the events of one attempt, mirrored meanwhile; at the end all is in MLflow."""
        since = time.monotonic()
        claim = self._claimed()
        recorder = Recorder(self._engine, claim, chunk_seconds=self._settings.chunk_seconds)
        recorder.start()
        thread = MirrorThread(Mirror(self._engine, self._store, self._settings))
        thread.watch(claim.job_id)
        spec = JobSpec.model_validate(DIGITS)
        story = Story(spec, None, claimed_at=claim.claimed_at, claimed_monotonic=since)

        def take(event: Event) -> None:
            recorder.add(*story.take(event, time.monotonic()))

        yield take
        recorder.wait(recorder.ticket(), 60)
        recorder.end()
        thread.end()
        while not self._mirror.turn(claim.job_id):
            time.sleep(0.05)

    def _claimed(self) -> Any:
        with transaction(self._engine) as session:
            version = datasets.resolve(session, "digits@1")
            spec = JobSpec.model_validate(DIGITS)
            job_id = jobs.submit(session, spec, version, owner="local").id
        with transaction(self._engine) as session:
            claim = jobs.claim(
                session, job_id, node="bench", worker="bench", lease_seconds=LEASE_SECONDS
            )
        if claim is None:
            raise RuntimeError("the job could not be claimed")
        return claim
