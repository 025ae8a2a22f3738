"""A bench whose slot mirrors to MLflow, the mirror of jobs, and a job that MLflow has."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from core.db.tables import Job
from core.tracking import MlflowServer
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench, until
from worker.mlflow.jobs import JobMirror


@pytest.fixture
def bench(tracker: Tracker, make_bench: Callable[..., Bench], database_url: str) -> Bench:
    return make_bench(database_url, mlflow_url=tracker.url)


@pytest.fixture
def server(tracker: Tracker) -> Iterator[MlflowServer]:
    with MlflowServer(tracker.url, timeout_seconds=60) as made:
        yield made


@pytest.fixture
def mirror(bench: Bench) -> Iterator[JobMirror]:
    made = JobMirror(bench.engine, bench.store, bench.settings)
    yield made
    made.close()


@pytest.fixture
def make_ended(bench: Bench) -> Callable[[], Job]:
    """Makes finished jobs of which MLflow has everything."""

    def make() -> Job:
        tags = {"team": "a", "old": "x"}
        job_id = bench.submit(epochs=1, experiment=uuid.uuid4().hex, tags=tags)
        bench.slot.work(job_id)
        until(lambda: bench.job(job_id).mirrored_status == "finished")
        return bench.job(job_id)

    return make


@pytest.fixture
def ended(make_ended: Callable[[], Job]) -> Job:
    """A finished job of which MLflow has everything."""
    return make_ended()
