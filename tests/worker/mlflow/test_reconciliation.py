"""What somebody changes in MLflow afterwards is found and put right."""

import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from core.db.session import transaction
from core.db.tables import Job
from core.tracking import JOB_TAG, MlflowServer
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench, until
from worker.mlflow.jobs import Mirror
from worker.mlflow.reconciliation import Reconciler


@pytest.fixture
def bench(tracker: Tracker, make_bench: Callable[..., Bench], database_url: str) -> Bench:
    return make_bench(database_url, mlflow_url=tracker.url)


@pytest.fixture
def server(tracker: Tracker) -> Iterator[MlflowServer]:
    with MlflowServer(tracker.url, timeout_seconds=60) as made:
        yield made


@pytest.fixture
def ended(bench: Bench) -> Job:
    """A finished job that MLflow has whole."""
    job_id = bench.submit(epochs=1, experiment=uuid.uuid4().hex)
    bench.slot.work(job_id)
    until(lambda: bench.job(job_id).mirrored_status == "finished")
    return bench.job(job_id)


def put_right(bench: Bench, job: Job) -> None:
    mirror = Mirror(bench.engine, bench.store, bench.settings)
    try:
        until(lambda: mirror.turn(job.id))
    finally:
        mirror.close()


def test_where_nothing_differs_nothing_is_done(bench: Bench, server: MlflowServer, ended: Job):
    assert Reconciler(bench.engine, server).look() == 0


@pytest.mark.parametrize("status", ["RUNNING", "FAILED"])
def test_another_status_is_put_right(
    bench: Bench, server: MlflowServer, tracker: Tracker, ended: Job, status: str
):
    server.update_run(ended.mlflow_run_id, status)
    assert Reconciler(bench.engine, server).look() >= 1
    put_right(bench, ended)
    assert tracker.run(ended.mlflow_run_id)["info"]["status"] == "FINISHED"


def test_a_run_that_is_gone_is_made_anew(bench: Bench, server: MlflowServer, ended: Job):
    with transaction(bench.engine) as session:
        session.get_one(Job, ended.id).mlflow_run_id = uuid.uuid4().hex
    assert Reconciler(bench.engine, server).look() == 1
    put_right(bench, ended)
    assert server.get_run(bench.job(ended.id).mlflow_run_id)["info"]["status"] == "FINISHED"


def test_a_run_that_somebody_deleted_is_left_alone(bench: Bench, server: MlflowServer, ended: Job):
    server.delete_run(ended.mlflow_run_id)
    assert Reconciler(bench.engine, server).look() == 0


def test_a_second_run_is_deleted(bench: Bench, server: MlflowServer, tracker: Tracker, ended: Job):
    run = tracker.run(ended.mlflow_run_id)
    answer = httpx.post(
        f"{tracker.url}/api/2.0/mlflow/runs/create",
        json={
            "experiment_id": run["info"]["experiment_id"],
            "tags": [{"key": JOB_TAG, "value": ended.id}],
        },
        timeout=60,
    )
    second = answer.json()["run"]["info"]["run_id"]
    assert Reconciler(bench.engine, server).look() == 1
    assert tracker.run(second)["info"]["lifecycle_stage"] == "deleted"
    assert tracker.run(ended.mlflow_run_id)["info"]["lifecycle_stage"] == "active"
