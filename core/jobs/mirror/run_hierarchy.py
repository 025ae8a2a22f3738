"""Whether a job has a run in MLflow, and below which other run."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.db.clock import now
from core.db.tables import Fold, Job, MetricChunk, Sweep, Trial
from core.jobs.mirror.state import forget_run, record_mirrored

SWEEP_TAG = "chainrule.sweep"
"""The tag of a job that names the sweep it belongs to."""

TRIAL_TAG = "chainrule.trial"
"""The tag with the number of the trial, on each job of a cross-validated trial."""

FOLD_TAG = "chainrule.fold"
"""The tag with the number of the fold that validates in such a job."""

_MAX_FAILURES = 5
"""Failures of a parent's mirror after which its children no longer wait for the parent's run."""


@dataclass(frozen=True)
class RunPlacement:
    """Where the run of a job belongs in MLflow.

    `shown` is False for a job that gets no run, `parent` is the id of the parent run, `waits` is
    True while the parent run is still to be created, and `siblings` is the largest number of runs
    that the parent may get.
    """

    shown: bool = True
    parent: str | None = None
    waits: bool = False
    siblings: int = 0


def run_placement(session: Session, job: Job) -> RunPlacement:
    """The placement of a job's run: below its sweep, below the job that made its model, or alone.

    Reads the rows as they are now.
    """
    if job.model_job_id is not None:
        return _below_model(session, job.model_job_id)
    sweep = session.get(Sweep, job.tags[SWEEP_TAG]) if SWEEP_TAG in job.tags else None
    if sweep is None:
        return RunPlacement()
    most = max_runs(sweep.spec, sweep.n_trials)
    trial = trial_of(session, job.id)
    # None: the trial was retried and belongs to a newer job.
    shown = str(sweep.spec.get("mlflow", "all")) == "all" if trial is None else trial.shown
    # A sweep that MLflow refuses must not hide its trials. They move below its run once it exists.
    waits = sweep.mlflow_run_id is None and sweep.mirror_failures < _MAX_FAILURES
    folds = (sweep.spec.get("cross_validation") or {}).get("folds", 1)
    return RunPlacement(shown, sweep.mlflow_run_id, waits, most * folds)


def _below_model(session: Session, model_job_id: str) -> RunPlacement:
    """Below the run of the job that made the model, if that job has a run or will have one."""
    row = session.execute(
        select(Job.mlflow_run_id, Job.mirrored_status, Job.status, Job.mirror_failures).where(
            Job.id == model_job_id
        )
    ).one()
    expected = row.mlflow_run_id is None and row.mirrored_status != row.status.value
    waits = expected and row.mirror_failures < _MAX_FAILURES
    return RunPlacement(parent=row.mlflow_run_id, waits=waits)


def trial_of(session: Session, job_id: str, *, lock: bool = False) -> Trial | None:
    """The trial that a job belongs to, also as one of its folds, or None.

    With `lock` the trial's row is locked until the transaction ends.
    """
    same = and_(Fold.sweep_id == Trial.sweep_id, Fold.number == Trial.number)
    for statement in (
        select(Trial).where(Trial.job_id == job_id),
        select(Trial).join(Fold, same).where(Fold.job_id == job_id),
    ):
        trial = session.scalar(statement.with_for_update(of=Trial) if lock else statement)
        if trial is not None:
            return trial
    return None


def show_run(session: Session, job_id: str) -> bool:
    """Give a job of a sweep a run if the sweep left it without one; whether it will get one."""
    trial = trial_of(session, job_id, lock=True)
    if trial is None or trial.shown:
        return False
    trial.shown = True
    session.flush()
    forget_run(session, job_id)
    return True


def max_runs(spec: dict[str, Any], n_trials: int) -> int:
    """The largest number of trials of a sweep that get runs of their own."""
    kind, _, count = str(spec.get("mlflow", "all")).partition(":")
    if kind == "best":
        return int(count)
    return 0 if kind == "none" else n_trials


def skip_run(session: Session, job_id: str, status: JobStatus) -> bool:
    """Record that a job gets no run; False when it is to get one by now, or changed meanwhile."""
    trial = trial_of(session, job_id, lock=True)
    if trial is not None and trial.shown:
        return False
    session.execute(
        update(MetricChunk)
        .where(MetricChunk.job_id == job_id, MetricChunk.mirrored_at.is_(None))
        .values(mirrored_at=now())
        .execution_options(synchronize_session=False)
    )
    return record_mirrored(session, job_id, status)
