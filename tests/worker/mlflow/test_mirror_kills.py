"""Wherever a mirror is killed, the next one completes the run, and no step appears twice."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from chainrule.contract.status import JobStatus
from core import jobs, sweeps
from core.db.mirrored import forget_run, release_lock
from core.db.session import reading
from core.db.tables import Job, Sweep
from core.tracking import MlflowServer
from tests.core.jobs.curves.test_metrics import record, resume_at
from tests.core.sweeps.test_mirror_state import end_trials
from tests.support import single
from tests.support.job_cases import claimed, do, pass_time, points
from tests.support.present import present
from tests.support.sweep_cases import finish, started
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench
from worker.mlflow.jobs import JobMirror
from worker.mlflow.sweeps import SweepMirror
from worker.mlflow.trials import TrialMirror


class Killed(BaseException):
    """The process was killed."""


@pytest.fixture
def site(tracker: Tracker, make_bench: Callable[..., Bench], database_url: str) -> Bench:
    """A bench that mirrors to a real MLflow."""
    return make_bench(database_url, mlflow_url=tracker.url)


def killed(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    """Make a function kill its caller, before or after it did its work."""
    real = getattr(owner, name)

    def deadly(*given: Any, **named: Any) -> None:
        if after:
            real(*given, **named)
        raise Killed

    monkeypatch.setattr(owner, name, deadly)


PLACES = {
    "before it creates the run": (MlflowServer, "create_run", False),
    "before it records the run": (MlflowServer, "create_run", True),
    "before it sends": (MlflowServer, "log_points", False),
    "between sending and marking": (MlflowServer, "log_points", True),
    "after marking": (jobs, "mark_mirrored", True),
    "before the end is recorded": (MlflowServer, "update_run", True),
}


def kill_at(site: Bench, job_id: str, where: tuple[Any, str, bool]) -> None:
    """Run a mirror that is killed at a place, if it gets there."""
    mirror = JobMirror(site.engine, site.store, site.settings)
    with pytest.MonkeyPatch.context() as patched:
        killed(patched, where[0], where[1], after=where[2])
        try:
            mirror.sync(job_id)
        except Killed:
            pass
        finally:
            mirror.close()
    pass_time(site.engine, 60)


def complete(site: Bench, job_id: str) -> None:
    mirror = JobMirror(site.engine, site.store, site.settings)
    try:
        assert mirror.sync(job_id)
    finally:
        mirror.close()


@pytest.mark.parametrize("place", PLACES)
def test_no_step_is_missing_or_doubled(site: Bench, tracker: Tracker, place: str) -> None:
    """The mirror is killed in each of three attempts that repeat each other's steps."""
    job_id = site.submit(experiment=uuid.uuid4().hex)
    claim = claimed(site.engine, job_id)
    for attempt in range(3):
        repeated = points(3, 4, 5 + attempt, 6 + attempt, at_ms=10_000 * attempt)
        record(site.engine, claim, 1, repeated)
        kill_at(site, job_id, PLACES[place])
        if attempt < 2:
            claim = resume_at(site.engine, claim, 2)
    do(site.engine, single.finish, job_id, claim.attempt, JobStatus.CANCELLED)
    kill_at(site, job_id, PLACES[place])
    complete(site, job_id)
    job = site.job(job_id)
    shown = tracker.history(present(job.mlflow_run_id), "train/loss")
    steps = [step for step, *_ in shown]
    assert len(steps) == len(set(steps))
    expected = {(step, value) for step, value in site.history(job_id)["train/loss"]}
    assert expected <= {(step, value) for step, value, _ in shown}
    assert tracker.run(present(job.mlflow_run_id))["info"]["status"] == "KILLED"
    assert runs_of(tracker, job) == [job.mlflow_run_id]


def runs_of(tracker: Tracker, job: Job) -> list[str]:
    with MlflowServer(tracker.url, timeout_seconds=60) as server:
        mark = f"tags.`chainrule.job_id` = '{job.id}'"
        experiment_id = server.experiment_id(job.experiment.name)
        return [run["info"]["run_id"] for run in server.find_runs([experiment_id], mark)]


def test_a_mirror_that_was_frozen_deletes_the_second_run(
    site: Bench, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a mirror of trials is frozen, another one creates the run of its trial."""
    sweep_id = started(site.engine, n_trials=1)
    end_trials(site.engine, sweep_id, [0.5])
    do(site.engine, sweeps.record_sweep_run, sweep_id, uuid.uuid4().hex)
    with reading(site.engine) as session:
        (job_id,) = jobs.behind(session, trials=True)
    create = MlflowServer.create_run

    def frozen(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(MlflowServer, "create_run", create)
        pass_time(site.engine, 60)
        complete(site, job_id)
        return create(*given, **named)

    monkeypatch.setattr(MlflowServer, "create_run", frozen)
    slow = TrialMirror(site.engine, site.store, site.settings)
    try:
        assert slow.sync_all([job_id]) == 0
    finally:
        slow.close()
    job = site.job(job_id)
    assert job.mirrored_status == "finished"
    assert runs_of(tracker, job) == [job.mlflow_run_id]


def test_a_new_run_of_a_sweep_gets_all_points(site: Bench, tracker: Tracker) -> None:
    sweep_id = started(site.engine, n_trials=3, max_parallel=2)
    sweeps.advance(site.engine, sweep_id)
    finish(site.engine, sweep_id, value=0.5)
    sweeps.advance(site.engine, sweep_id)
    mirror = SweepMirror(site.engine, site.settings)
    try:
        mirror.sync(sweep_id)
        with MlflowServer(tracker.url, timeout_seconds=60) as server:
            server.delete_run(run_of(site, sweep_id))
        do(site.engine, forget_run, Sweep, sweep_id)
        do(site.engine, release_lock, Sweep, sweep_id)
        mirror.sync(sweep_id)
    finally:
        mirror.close()
    assert tracker.history(run_of(site, sweep_id), "best/valid/accuracy")


def run_of(site: Bench, sweep_id: str) -> str:
    with reading(site.engine) as session:
        return str(session.get_one(Sweep, sweep_id).mlflow_run_id)
