"""MLflow's database is damaged: one request has all of it mirrored again."""

import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing

import pytest
from anyio.from_thread import start_blocking_portal
from sqlalchemy import select

from api.app import create_app
from core import jobs, sweeps
from core.db.session import reading
from core.db.tables import Fold, Job, Sweep, Trial
from core.spec.inference import EvaluationSpec
from tests.support import single
from tests.support.api_cases import Http, close
from tests.support.job_cases import claimed, do
from tests.support.present import present
from tests.support.trackers import Tracker
from tests.support.worker_cases import Bench, until
from tests.worker.mlflow.test_sweeps import begun, rested
from worker.mlflow.jobs import JobMirror
from worker.mlflow.sweeps import SweepMirror
from worker.mlflow.trials import TrialMirror


@pytest.fixture
def site(tracker: Tracker, make_bench: Callable[..., Bench], database_url: str) -> Bench:
    return make_bench(database_url, mlflow_url=tracker.url)


class Mirrors:
    """The mirrors of a scheduler."""

    def __init__(self, site: Bench) -> None:
        self.site = site
        self.jobs = JobMirror(site.engine, site.store, site.settings)
        self.trials = TrialMirror(site.engine, site.store, site.settings)
        self.sweeps = SweepMirror(site.engine, site.settings)

    def catch_up(self) -> None:
        """Mirror until nothing is behind."""
        until(self._all, seconds=120)

    def _all(self) -> bool:
        rested(self.site)
        self.sweeps.look()
        with reading(self.site.engine) as session:
            trials = jobs.behind(session, trials=True)
            others = jobs.behind(session, trials=False)
        self.trials.sync_all(trials)
        for job_id in others:
            self.jobs.sync(job_id)
        with reading(self.site.engine) as session:
            rows: list[Job | Sweep] = [*session.query(Job), *session.query(Sweep)]
            return all(row.mirrored_status == row.status.value for row in rows)

    def close(self) -> None:
        self.trials.close()
        self.jobs.close()
        self.sweeps.close()


def rebuild(site: Bench) -> dict[str, int]:
    """Request a rebuild; the response."""
    app = create_app(site.settings)
    try:
        with start_blocking_portal() as portal:
            answer = Http(app, portal).request("POST", "/v1/mlflow/rebuild")
    finally:
        close(app)
    assert answer.status_code == 200, answer.text
    document: dict[str, int] = answer.json()
    return document


def runs(site: Bench) -> dict[str, str]:
    """The runs of all jobs and sweeps."""
    with reading(site.engine) as session:
        rows: list[Job | Sweep] = [*session.query(Job), *session.query(Sweep)]
        return {row.id: present(row.mlflow_run_id) for row in rows}


def damage(tracker: Tracker, *, lost: list[str], hollow: list[str]) -> None:
    """Delete runs from MLflow's database, and the contents of others."""
    with closing(sqlite3.connect(tracker.folder / "mlflow.sqlite", timeout=30)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        with connection:
            for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
                for run_id in lost if table in ("tags", "runs") else lost + hollow:
                    connection.execute(
                        f"DELETE FROM {table} WHERE run_uuid = ?",
                        (run_id,),
                    )


def test_all_that_was_lost_is_mirrored_again(site: Bench, tracker: Tracker) -> None:
    """A job, an evaluation below it, a queued job, and a sweep with a trial of two folds.

    Some runs are gone, others have lost their contents.
    """
    model_id = site.submit(epochs=2, experiment=uuid.uuid4().hex)
    site.slot.work(model_id)
    evaluation_id = site.infer(EvaluationSpec(dataset="digits", tags={}), model_id)
    site.slot.work(evaluation_id)
    waiting_id = site.submit(experiment=uuid.uuid4().hex)
    claim = claimed(site.engine, waiting_id)
    point = jobs.Point("train/loss", 1, 0, 1, 0.5)
    do(site.engine, single.record_metrics, waiting_id, claim.attempt, 1, [point])
    mirrors = Mirrors(site)
    try:
        until(lambda: mirrors.jobs.sync(waiting_id))
        do(site.engine, single.release, waiting_id, claim.attempt)
        sweep_id = begun(site, n_trials=1, cross_validation={"folds": 2})
        folds = trained(site, sweep_id)
        assert len(folds) == 2
        mirrors.catch_up()
        before = runs(site)
        kept = [evaluation_id, folds[0]]
        gone = [model_id, waiting_id, sweep_id, folds[1]]
        damage(tracker, lost=[before[x] for x in gone], hollow=[before[x] for x in kept])
        assert rebuild(site) == {"sweeps": 1, "jobs": 5, "next": None}
        mirrors.catch_up()
        after = runs(site)
    finally:
        mirrors.close()
    assert all(before[x] != after[x] for x in gone)
    assert all(before[x] == after[x] for x in kept)
    for job_id in (model_id, evaluation_id, waiting_id, *folds):
        for key, series in site.history(job_id).items():
            shown = tracker.history(after[job_id], key)
            assert [(step, value) for step, value, _ in shown] == series, (job_id, key)
    assert parent(tracker, after[evaluation_id]) == after[model_id]
    assert {parent(tracker, after[job_id]) for job_id in folds} == {after[sweep_id]}
    assert tracker.history(after[sweep_id], "best/valid/accuracy")


def trained(site: Bench, sweep_id: str) -> list[str]:
    """The jobs of a sweep of one trial, which all have ended."""
    sweeps.advance(site.engine, sweep_id)
    with reading(site.engine) as session:
        trial = session.get_one(Trial, (sweep_id, 0))
        folds = select(Fold.job_id).where(Fold.sweep_id == sweep_id)
        job_ids = [trial.job_id] if trial.job_id else list(session.scalars(folds))
    for job_id in job_ids:
        site.slot.work(job_id)
    sweeps.advance(site.engine, sweep_id)
    return job_ids


def parent(tracker: Tracker, run_id: str) -> str:
    tags: dict[str, str] = {tag["key"]: tag["value"] for tag in tracker.run(run_id)["data"]["tags"]}
    return tags["mlflow.parentRunId"]


def test_a_run_of_a_sweep_that_lost_its_points_gets_them_again(
    site: Bench, tracker: Tracker
) -> None:
    sweep_id = begun(site, n_trials=1, mlflow="none")
    trained(site, sweep_id)
    mirrors = Mirrors(site)
    try:
        until(lambda: mirrors.sweeps.sync(sweep_id))
        run_id = present(do(site.engine, sweeps.get, sweep_id).mlflow_run_id)
        damage(tracker, lost=[], hollow=[run_id])
        assert rebuild(site)["sweeps"] == 1
        rested(site)
        until(lambda: mirrors.sweeps.sync(sweep_id))
        assert do(site.engine, sweeps.get, sweep_id).mlflow_run_id == run_id
    finally:
        mirrors.close()
    assert tracker.history(run_id, "best/valid/accuracy")
