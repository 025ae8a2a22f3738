"""Budget of a sweep in seconds and epochs, and how much of it is spent."""

import math
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from chainrule.contract.status import SweepStatus
from core import jobs, notices
from core.db.clock import now
from core.db.tables import Job, Sweep, Trial
from core.errors import ConflictError
from core.spec.sweep import SweepSpec
from core.sweeps.trial_jobs import select_with_jobs, unfinished_jobs


@dataclass(frozen=True)
class Spent:
    """Seconds that a sweep has run, without pauses, and epochs that its trials have trained.

    `promised` counts the epochs that open trials may still train.
    """

    seconds: float
    epochs: int
    promised: int


def start_clock(session: Session, sweep: Sweep) -> None:
    """Start counting the running time of a sweep, if it is not counted already."""
    if sweep.running_since is None:
        sweep.running_since = _database_time(session)


def stop_clock(session: Session, sweep: Sweep) -> None:
    """Stop counting the running time of a sweep, if it is counted."""
    if sweep.running_since is not None:
        sweep.spent_ms += _milliseconds(sweep.running_since, _database_time(session))
        sweep.running_since = None


def end(session: Session, sweep: Sweep, status: SweepStatus) -> None:
    """Give a sweep the terminal `status`, stop its clock and announce the end to webhooks."""
    stop_clock(session, sweep)
    sweep.status, sweep.finished_at = status, now()
    session.flush()
    notices.announce_sweep_end(session, sweep)


def spent(session: Session, sweep: Sweep) -> Spent:
    """Return what a sweep has spent so far."""
    milliseconds = sweep.spent_ms
    if sweep.running_since is not None:
        milliseconds += _milliseconds(sweep.running_since, _database_time(session))
    statement = select_with_jobs(sweep, Job.progress, Job.spec["epochs"].as_integer())
    trained = promised = 0
    for progress, epochs in session.execute(statement.where(Trial.status == "open")):
        done = int((progress or {}).get("epoch", 0))
        trained += done
        promised += max(0, epochs - done)
    return Spent(milliseconds / 1000, sweep.epochs_told + trained, promised)


def is_limited(spec: SweepSpec) -> bool:
    """Return whether the sweep has a budget of seconds or epochs."""
    return spec.budget.seconds is not None or spec.budget.epochs is not None


def exhausted_budget(spec: SweepSpec, so_far: Spent) -> str | None:
    """Return which budget is used up, `seconds` or `epochs`; None if neither is."""
    budget = spec.budget
    if budget.seconds is not None and so_far.seconds >= budget.seconds:
        return "seconds"
    if budget.epochs is not None and so_far.epochs >= budget.epochs:
        return "epochs"
    return None


def affordable_trials(spec: SweepSpec, so_far: Spent) -> int | None:
    """Return how many more trials the epoch budget allows; None without an epoch budget.

    Open trials count as trained to their end. The last trial may be stopped before its end.
    """
    if spec.budget.epochs is None:
        return None
    left = spec.budget.epochs - so_far.epochs - so_far.promised
    return max(0, math.ceil(left / (spec.job.epochs * spec.folds)))


def stop(session: Session, sweep: Sweep, budget: str) -> None:
    """Stop a sweep whose `budget` is used up: cancel queued jobs, ask running ones to end."""
    sweep.stopped_by = budget
    session.flush()
    for job_id in unfinished_jobs(session, sweep):
        jobs.stop(session, job_id, reason={"kind": "budget", "budget": budget})


def refuse_exhausted(sweep: Sweep) -> None:
    """Raise ConflictError for a sweep that was stopped because its budget was used up."""
    if sweep.stopped_by is not None:
        raise ConflictError(
            f"sweep {sweep.id} has used up its {sweep.stopped_by}: give it a larger budget first"
        )


def may_start_trials(sweep: Sweep) -> bool:
    """Return whether the state and the budget of a sweep allow new trials."""
    return sweep.status is SweepStatus.RUNNING and sweep.stopped_by is None


def _database_time(session: Session) -> datetime:
    moment: datetime = session.execute(select(now())).scalar_one()
    return moment


def _milliseconds(since: datetime, until: datetime) -> int:
    return max(0, round((until - since).total_seconds() * 1000))
