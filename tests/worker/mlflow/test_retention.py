"""Runs of old jobs are deleted from MLflow with their files, and nothing creates them again."""

import uuid
from collections.abc import Callable

from core import models
from core.db.tables import Job
from core.retention import Freed, RunPolicy, Storage
from core.tracking import MlflowServer
from tests.support.job_cases import do
from tests.support.present import present
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench
from worker.mlflow.jobs import JobMirror
from worker.mlflow.reconcile import Reconciler


def test_runs_of_old_jobs_go_with_their_files(
    bench: Bench,
    mirror: JobMirror,
    server: MlflowServer,
    tracker: Tracker,
    make_ended: Callable[[], Job],
) -> None:
    old, named = make_ended(), make_ended()
    do(bench.engine, models.register, "digits", named.id, owner="local")
    run_id, kept_id = present(old.mlflow_run_id), present(named.mlflow_run_id)
    assert server.artifacts(run_id)
    storage = Storage(bench.engine, bench.store)
    assert not RunPolicy(1, server).overdue(storage)
    policy = RunPolicy(0, server)
    assert policy.overdue(storage).rows == 1
    assert sum(policy.apply(storage), Freed()).rows == 1
    assert not policy.overdue(storage)
    assert server.get_run(run_id)["info"]["lifecycle_stage"] == "deleted"
    assert not server.artifacts(run_id)
    assert not [
        path for path in (tracker.folder / "artifacts").rglob(f"*{run_id}*/**/*") if path.is_file()
    ]
    assert server.get_run(kept_id)["info"]["lifecycle_stage"] == "active"
    assert server.artifacts(kept_id)
    assert bench.job(old.id).mlflow_run_id is None
    assert Reconciler(bench.engine, mirror).look() == 0
    assert not mirror.look()
    assert bench.job(old.id).mlflow_run_id is None


def test_a_run_that_is_gone_already_is_forgotten(
    bench: Bench, server: MlflowServer, make_ended: Callable[[], Job]
) -> None:
    """As after a kill between MLflow's answer and the row."""
    jobs = [make_ended() for _ in range(2)]
    server.delete_run(present(jobs[0].mlflow_run_id))
    with_unknown = {"mlflow_run_id": uuid.uuid4().hex}
    do(
        bench.engine,
        lambda session: session.query(Job).filter_by(id=jobs[1].id).update(with_unknown),
    )
    storage = Storage(bench.engine, bench.store)
    assert sum(RunPolicy(0, server).apply(storage), Freed()).rows == 2
    assert [bench.job(job.id).mlflow_run_id for job in jobs] == [None, None]
