"""Changes that somebody makes in MLflow are found and corrected."""

import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from core import jobs
from core.db.session import transaction
from core.db.tables import Job
from core.tracking import JOB_TAG, MlflowServer
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench, until
from worker.mlflow.jobs import JobMirror
from worker.mlflow.reconcile import Reconciler


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
def ended(bench: Bench) -> Job:
    """A finished job of which MLflow has everything."""
    job_id = bench.submit(epochs=1, experiment=uuid.uuid4().hex)
    bench.slot.work(job_id)
    until(lambda: bench.job(job_id).mirrored_status == "finished")
    return bench.job(job_id)


def test_no_differences_are_found_in_an_untouched_run(
    bench: Bench, mirror: JobMirror, ended: Job
) -> None:
    assert ended.mlflow_run_id
    assert Reconciler(bench.engine, mirror).look() == 0


@pytest.mark.parametrize("status", ["RUNNING", "FAILED"])
def test_another_status_is_corrected(
    bench: Bench,
    mirror: JobMirror,
    server: MlflowServer,
    tracker: Tracker,
    ended: Job,
    status: str,
) -> None:
    server.update_run(run_of(ended), status)
    assert Reconciler(bench.engine, mirror).look() >= 1
    until(lambda: mirror.sync(ended.id))
    assert tracker.run(run_of(ended))["info"]["status"] == "FINISHED"


def test_a_run_that_is_gone_is_created_again(
    bench: Bench, mirror: JobMirror, server: MlflowServer, ended: Job
) -> None:
    with transaction(bench.engine) as session:
        session.get_one(Job, ended.id).mlflow_run_id = uuid.uuid4().hex
    assert Reconciler(bench.engine, mirror).look() == 1
    until(lambda: mirror.sync(ended.id))
    assert server.get_run(run_of(bench.job(ended.id)))["info"]["status"] == "FINISHED"


def test_a_run_outside_the_recorded_experiments_is_not_taken_for_lost(
    bench: Bench, mirror: JobMirror, ended: Job
) -> None:
    with transaction(bench.engine) as session:
        jobs.forget_experiments(session)
    assert Reconciler(bench.engine, mirror).look() == 0
    assert bench.job(ended.id).mlflow_run_id == ended.mlflow_run_id


def test_a_run_that_somebody_deleted_is_left_alone(
    bench: Bench, mirror: JobMirror, server: MlflowServer, ended: Job
) -> None:
    server.delete_run(run_of(ended))
    assert Reconciler(bench.engine, mirror).look() == 0


def test_a_second_run_is_deleted(
    bench: Bench, mirror: JobMirror, tracker: Tracker, ended: Job
) -> None:
    run = tracker.run(run_of(ended))
    answer = httpx.post(
        f"{tracker.url}/api/2.0/mlflow/runs/create",
        json={
            "experiment_id": run["info"]["experiment_id"],
            "tags": [{"key": JOB_TAG, "value": ended.id}],
        },
        timeout=60,
    )
    second = answer.json()["run"]["info"]["run_id"]
    assert Reconciler(bench.engine, mirror).look() == 1
    assert tracker.run(second)["info"]["lifecycle_stage"] == "deleted"
    assert tracker.run(run_of(ended))["info"]["lifecycle_stage"] == "active"


def run_of(job: Job) -> str:
    """The id of the run that a job has."""
    assert job.mlflow_run_id is not None
    return job.mlflow_run_id
