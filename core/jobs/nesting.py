"""Where MLflow shows a job: by itself, below the run of its sweep or of its model, or not."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db.clock import now
from core.db.tables import Job, MetricChunk, Sweep, Trial
from core.jobs.mirroring import record_mirrored
from core.status import JobStatus

SWEEP_TAG = "chainrule.sweep"
"""The tag of a job that names the sweep whose trial it is."""

_MOST_FAILURES = 5


@dataclass(frozen=True)
class Nesting:
    """Whether a job has a run, below which one (`parent`), beside how many others at most.

    `waits`: the run of its sweep is still to be made.
    """

    shown: bool = True
    parent: str | None = None
    waits: bool = False
    beside: int = 0


def nesting(session: Session, job: Job) -> Nesting:
    """Where the run of a job belongs; that of one that uses a model, below the one that made it."""
    if job.model_job_id is not None:
        statement = select(Job.mlflow_run_id).where(Job.id == job.model_job_id)
        return Nesting(parent=session.scalar(statement))
    sweep = session.get(Sweep, job.tags[SWEEP_TAG]) if SWEEP_TAG in job.tags else None
    if sweep is None:
        return Nesting()
    most = most_shown(sweep.spec, sweep.n_trials)
    shown = session.scalar(select(Trial.shown).where(Trial.job_id == job.id))
    if shown is None:
        # A job whose trial is tried again by another one.
        shown = str(sweep.spec.get("mlflow", "all")) == "all"
    # What keeps MLflow from taking the sweep must not hide its trials; they find their place later.
    waits = sweep.mlflow_run_id is None and sweep.mirror_failures < _MOST_FAILURES
    return Nesting(shown, sweep.mlflow_run_id, waits, most)


def most_shown(spec: dict[str, Any], n_trials: int) -> int:
    """How many trials of a sweep have runs of their own at most."""
    kind, _, count = str(spec.get("mlflow", "all")).partition(":")
    if kind == "best":
        return int(count)
    return 0 if kind == "none" else n_trials


def pass_over(session: Session, job_id: str, status: JobStatus) -> bool:
    """Note that MLflow is not to be told of a job; False when it is by now, or more happened."""
    trial = session.scalar(select(Trial).where(Trial.job_id == job_id).with_for_update())
    if trial is not None and trial.shown:
        return False
    session.execute(
        update(MetricChunk)
        .where(MetricChunk.job_id == job_id, MetricChunk.mirrored_at.is_(None))
        .values(mirrored_at=now())
        .execution_options(synchronize_session=False)
    )
    return record_mirrored(session, job_id, status)
