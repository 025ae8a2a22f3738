"""A mirror that is killed anywhere leaves MLflow such that the next one makes it whole, once."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from core import jobs, sweeps
from core.db.locks import end_turn
from core.db.session import reading
from core.db.tables import Job, Sweep
from core.status import JobStatus
from core.tracking import MlflowServer
from tests.core.jobs.curves.test_metrics import record, resume_at
from tests.core.sweeps.test_mirror_state import told
from tests.support.job_cases import claimed, do, pass_time, points
from tests.support.sweep_cases import finish, started
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench
from worker.mlflow.jobs import Mirror
from worker.mlflow.sweeps import SweepMirror
from worker.mlflow.trials import TrialMirror


class Killed(BaseException):
    """Nothing of ours runs any more."""


@pytest.fixture
def site(tracker: Tracker, make_bench: Callable[..., Bench], database_url: str) -> Bench:
    """A bench that mirrors to a real MLflow, all of it in one experiment of its own."""
    return make_bench(database_url, mlflow_url=tracker.url)


def killed(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    """Kill whoever calls a function, before or after it is done."""
    real = getattr(owner, name)

    def deadly(*given: Any, **named: Any) -> None:
        if after:
            real(*given, **named)
        raise Killed

    monkeypatch.setattr(owner, name, deadly)


PLACES = {
    "before it makes the run": (MlflowServer, "create_run", False),
    "before it notes the run": (MlflowServer, "create_run", True),
    "before it sends": (MlflowServer, "log_points", False),
    "between sending and marking": (MlflowServer, "log_points", True),
    "after it marked": (jobs, "mark_mirrored", True),
    "before the end is noted": (MlflowServer, "update_run", True),
}


def dies(site: Bench, job_id: str, where: tuple[Any, str, bool]) -> None:
    """A mirror that is killed at a place, if it comes by."""
    mirror = Mirror(site.engine, site.store, site.settings)
    with pytest.MonkeyPatch.context() as patched:
        killed(patched, where[0], where[1], after=where[2])
        try:
            mirror.turn(job_id)
        except Killed:
            pass
        finally:
            mirror.close()
    pass_time(site.engine, 60)


def made_whole(site: Bench, job_id: str) -> None:
    mirror = Mirror(site.engine, site.store, site.settings)
    try:
        assert mirror.turn(job_id)
    finally:
        mirror.close()


@pytest.mark.parametrize("place", PLACES)
def test_no_step_is_missing_or_doubled(site: Bench, tracker: Tracker, place: str) -> None:
    """In each of three attempts that repeat one another's steps the mirror is killed."""
    job_id = site.submit(experiment=uuid.uuid4().hex)
    claim = claimed(site.engine, job_id)
    for attempt in range(3):
        repeated = points(3, 4, 5 + attempt, 6 + attempt, at_ms=10_000 * attempt)
        record(site.engine, claim, 1, repeated)
        dies(site, job_id, PLACES[place])
        if attempt < 2:
            claim = resume_at(site.engine, claim, 2)
    do(site.engine, jobs.finish, job_id, claim.attempt, JobStatus.CANCELLED)
    dies(site, job_id, PLACES[place])
    made_whole(site, job_id)
    job = site.job(job_id)
    shown = tracker.history(job.mlflow_run_id, "train/loss")
    steps = [step for step, *_ in shown]
    assert len(steps) == len(set(steps))
    want = {(step, value) for step, value in site.history(job_id)["train/loss"]}
    assert want <= {(step, value) for step, value, _ in shown}
    assert tracker.run(job.mlflow_run_id)["info"]["status"] == "KILLED"
    assert runs_of(tracker, job) == [job.mlflow_run_id]


def runs_of(tracker: Tracker, job: Job) -> list[str]:
    with MlflowServer(tracker.url, timeout_seconds=60) as server:
        mark = f"tags.`chainrule.job_id` = '{job.id}'"
        experiment_id = server.experiment_id(job.experiment.name)
        return [run["info"]["run_id"] for run in server.find_runs([experiment_id], mark)]


def test_a_second_run_is_deleted_by_whoever_stood_still_meanwhile(
    site: Bench, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror of trials finds on waking that another one has shown its trial."""
    sweep_id = started(site.engine, n_trials=1)
    told(site.engine, sweep_id, [0.5])
    do(site.engine, sweeps.record_sweep_run, sweep_id, uuid.uuid4().hex)
    with reading(site.engine) as session:
        (job_id,) = jobs.behind(session, trials=True)
    create = MlflowServer.create_run

    def frozen(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(MlflowServer, "create_run", create)
        pass_time(site.engine, 60)
        made_whole(site, job_id)
        return create(*given, **named)

    monkeypatch.setattr(MlflowServer, "create_run", frozen)
    single = Mirror(site.engine, site.store, site.settings)
    slow = TrialMirror(site.engine, site.store, site.settings, single)
    try:
        assert slow.turn([job_id]) == 0
    finally:
        slow.close()
        single.close()
    job = site.job(job_id)
    assert job.mirrored_status == "finished"
    assert runs_of(tracker, job) == [job.mlflow_run_id]


def test_a_sweep_whose_run_was_forgotten_shows_its_course_in_the_new_one(
    site: Bench, tracker: Tracker
) -> None:
    sweep_id = started(site.engine, n_trials=3, max_parallel=2)
    sweeps.advance(site.engine, sweep_id)
    finish(site.engine, sweep_id, value=0.5)
    sweeps.advance(site.engine, sweep_id)
    mirror = SweepMirror(site.engine, site.settings)
    try:
        mirror.turn(sweep_id)
        with MlflowServer(tracker.url, timeout_seconds=60) as server:
            server.delete_run(run_of(site, sweep_id))
        do(site.engine, sweeps.forget_sweep_run, sweep_id)
        do(site.engine, end_turn, Sweep, sweep_id)
        mirror.turn(sweep_id)
    finally:
        mirror.close()
    assert tracker.history(run_of(site, sweep_id), "best/valid/accuracy")


def run_of(site: Bench, sweep_id: str) -> str:
    with reading(site.engine) as session:
        return str(session.get_one(Sweep, sweep_id).mlflow_run_id)
