"""Changes that somebody makes in MLflow are found and corrected."""

import uuid

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
