"""What a sweep may spend besides its trials, and what it has spent: seconds and epochs."""

import math
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import jobs
from core.db.clock import now
from core.db.tables import Job, Sweep, Trial
from core.errors import ConflictError
from core.spec.sweep import SweepSpec
from core.status import SweepStatus
from core.sweeps.trial_jobs import beside_jobs, going_on


@dataclass(frozen=True)
class Spent:
    """Seconds a sweep has been running, pauses left out; epochs its trials trained so far.

    `promised` are the epochs that open trials may still train.
    """

    seconds: float
    epochs: int
    promised: int


def start_clock(session: Session, sweep: Sweep) -> None:
    """Let a sweep's time run from now on."""
    if sweep.running_since is None:
        sweep.running_since = _moment(session)


def stop_clock(session: Session, sweep: Sweep) -> None:
    """Let its time stand still."""
    if sweep.running_since is not None:
        sweep.spent_ms += _milliseconds(sweep.running_since, _moment(session))
        sweep.running_since = None


def spent(session: Session, sweep: Sweep) -> Spent:
    """What a sweep has spent up to now."""
    milliseconds = sweep.spent_ms
    if sweep.running_since is not None:
        milliseconds += _milliseconds(sweep.running_since, _moment(session))
    epochs = Job.spec["epochs"].as_integer()
    statement = beside_jobs(sweep, Job.progress, epochs).where(Trial.status == "open")
    trained = promised = 0
    for progress, epochs in session.execute(statement):
        done = int((progress or {}).get("epoch", 0))
        trained += done
        promised += max(0, epochs - done)
    return Spent(milliseconds / 1000, sweep.epochs_told + trained, promised)


def limited(spec: SweepSpec) -> bool:
    """Whether anything but the number of trials ends the sweep."""
    return spec.budget.seconds is not None or spec.budget.epochs is not None


def exhausted(spec: SweepSpec, so_far: Spent) -> str | None:
    """Which budget is used up: `seconds`, `epochs` or none."""
    budget = spec.budget
    if budget.seconds is not None and so_far.seconds >= budget.seconds:
        return "seconds"
    if budget.epochs is not None and so_far.epochs >= budget.epochs:
        return "epochs"
    return None


def affordable(spec: SweepSpec, so_far: Spent) -> int | None:
    """How many trials more the epochs allow, all of those open trained to their end; None: any.

    The last one may be stopped before its end.
    """
    if spec.budget.epochs is None:
        return None
    left = spec.budget.epochs - so_far.epochs - so_far.promised
    return max(0, math.ceil(left / (spec.job.epochs * spec.folds)))


def stop(session: Session, sweep: Sweep, budget: str) -> None:
    """End a sweep whose budget is used up: what waits at once, what trains within a slice."""
    sweep.stopped_by = budget
    session.flush()
    for job_id in going_on(session, sweep):
        jobs.stop(session, job_id, reason={"kind": "budget", "budget": budget})


def refuse_spent(sweep: Sweep) -> None:
    """Raise ConflictError for a sweep that a used up budget ended."""
    if sweep.stopped_by is not None:
        raise ConflictError(
            f"sweep {sweep.id} has used up its {sweep.stopped_by}: give it a larger budget first"
        )


def going(sweep: Sweep) -> bool:
    """Whether new trials may begin."""
    return sweep.status is SweepStatus.RUNNING and sweep.stopped_by is None


def _moment(session: Session) -> datetime:
    found: datetime = session.execute(select(now())).scalar_one()
    return found


def _milliseconds(since: datetime, until: datetime) -> int:
    return max(0, round((until - since).total_seconds() * 1000))
