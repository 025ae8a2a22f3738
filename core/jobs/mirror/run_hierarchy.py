"""Where MLflow shows a job: by itself, below the run of its sweep or of its model, or not."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Fold, Job, MetricChunk, Sweep, Trial
from core.jobs.mirror.state import record_mirrored
from core.status import JobStatus

SWEEP_TAG = "chainrule.sweep"
"""The tag of a job that names the sweep whose trial it is."""

TRIAL_TAG = "chainrule.trial"
"""The number of its trial, for a job that is one of several of a trial."""

FOLD_TAG = "chainrule.fold"
"""The number of the fold that validates in such a job."""

_MOST_FAILURES = 5


@dataclass(frozen=True)
class Nesting:
    """Whether a job has a run, below which one (`parent`), beside how many others at most.

    `waits`: the run that it belongs below is still to be made.
    """

    shown: bool = True
    parent: str | None = None
    waits: bool = False
    beside: int = 0


def nesting(session: Session, job: Job) -> Nesting:
    """Where the run of a job belongs; that of one that uses a model, below the one that made it."""
    if job.model_job_id is not None:
        return _below_model(session, job.model_job_id)
    sweep = session.get(Sweep, job.tags[SWEEP_TAG]) if SWEEP_TAG in job.tags else None
    if sweep is None:
        return Nesting()
    most = most_shown(sweep.spec, sweep.n_trials)
    trial = trial_of(session, job.id)
    # None: a job whose trial is tried again by another one.
    shown = str(sweep.spec.get("mlflow", "all")) == "all" if trial is None else trial.shown
    # What keeps MLflow from taking the sweep must not hide its trials; they find their place later.
    waits = sweep.mlflow_run_id is None and sweep.mirror_failures < _MOST_FAILURES
    several = (sweep.spec.get("cross_validation") or {}).get("folds", 1)
    return Nesting(shown, sweep.mlflow_run_id, waits, most * several)


def _below_model(session: Session, model_job_id: str) -> Nesting:
    """Below the run of the job that made the model, if that has one or is to have one."""
    row = session.execute(
        select(Job.mlflow_run_id, Job.mirrored_status, Job.status, Job.mirror_failures).where(
            Job.id == model_job_id
        )
    ).one()
    untold = row.mlflow_run_id is None and row.mirrored_status != row.status.value
    return Nesting(parent=row.mlflow_run_id, waits=untold and row.mirror_failures < _MOST_FAILURES)


def trial_of(session: Session, job_id: str, *, lock: bool = False) -> Trial | None:
    """The trial that a job tries, alone or as a fold of it, if it does. With `lock` it stays so."""
    mine = and_(Fold.sweep_id == Trial.sweep_id, Fold.number == Trial.number)
    for statement in (
        select(Trial).where(Trial.job_id == job_id),
        select(Trial).join(Fold, mine).where(Fold.job_id == job_id),
    ):
        found = session.scalar(statement.with_for_update(of=Trial) if lock else statement)
        if found is not None:
            return found
    return None


def most_shown(spec: dict[str, Any], n_trials: int) -> int:
    """How many trials of a sweep have runs of their own at most."""
    kind, _, count = str(spec.get("mlflow", "all")).partition(":")
    if kind == "best":
        return int(count)
    return 0 if kind == "none" else n_trials


def pass_over(session: Session, job_id: str, status: JobStatus) -> bool:
    """Note that MLflow is not to be told of a job; False when it is by now, or more happened."""
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
