"""What MLflow has yet to be told about sweeps; the rows say it, a mirror does it.

All of it follows from the rows, with the moments in them: telling it again changes nothing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session

from core import jobs
from core.db.clock import now
from core.db.tables import Job, Sweep, Trial
from core.status import SweepStatus
from core.sweeps.queries import best, get
from core.sweeps.trial_jobs import beside_jobs, job_ids


@dataclass(frozen=True)
class Mark:
    """A value of a sweep's metric, from the trial told as the `step`th on."""

    key: str
    value: float
    at: datetime
    step: int


def behind(session: Session, *, limit: int = 100) -> list[str]:
    """The ids of sweeps that MLflow may know too little of, oldest first."""
    statement = (
        select(Sweep.id)
        .where(
            or_(
                Sweep.mirrored_status.is_(None),
                Sweep.mirrored_status != Sweep.status,
                Sweep.status == SweepStatus.RUNNING,
            ),
            Sweep.mirror_not_before <= now(),
        )
        .order_by(Sweep.created_at)
        .limit(limit)
    )
    return list(session.scalars(statement))


def record_sweep_run(session: Session, sweep_id: str, run_id: str) -> None:
    """Let MLflow's run of a sweep be `run_id`; runs of its trials are to be told below which."""
    _set(session, sweep_id, mlflow_run_id=run_id)
    of_trials = beside_jobs(get(session, sweep_id), Job.id)
    session.execute(
        update(Job)
        .where(Job.id.in_(of_trials), Job.mlflow_run_id.is_not(None))
        .values(mirrored_status=None)
        .execution_options(synchronize_session=False)
    )


def forget_sweep_run(session: Session, sweep_id: str) -> None:
    """Forget what MLflow was told of a sweep: it is gone there, all is to be told anew."""
    _set(session, sweep_id, mlflow_run_id=None, mirrored_status=None)


def forget_sweep_runs(session: Session) -> int:
    """Forget what MLflow was told of any sweep; of how many. All is to be told anew."""
    statement = (
        update(Sweep)
        .where(Sweep.mlflow_run_id.is_not(None))
        .values(mlflow_run_id=None, mirrored_status=None, mirror_failures=0)
        .execution_options(synchronize_session=False)
        .returning(Sweep.id)
    )
    return len(session.scalars(statement).all())


def tell_sweep_again(session: Session, sweep_id: str) -> None:
    """Have MLflow told anew how a sweep stands."""
    _set(session, sweep_id, mirrored_status=None)


def record_sweep_mirrored(
    session: Session, sweep_id: str, status: SweepStatus, run_id: str
) -> bool:
    """Note that MLflow confirmed `status`; False when there is another one, or run, by now."""
    statement = (
        update(Sweep)
        .where(Sweep.id == sweep_id, Sweep.status == status, Sweep.mlflow_run_id == run_id)
        .values(mirrored_status=status.value, mirror_failures=0)
        .execution_options(synchronize_session=False)
        .returning(Sweep.id)
    )
    return session.scalar(statement) is not None


def over(session: Session, sweep: Sweep) -> bool:
    """Whether a sweep has ended and so has each of its trials."""
    left = exists().where(Trial.sweep_id == sweep.id, Trial.status == "open")
    return sweep.status.terminal and not session.execute(select(left)).scalar_one()


def show_best(session: Session, sweep: Sweep) -> int:
    """Let the best trials of an ended sweep have runs, if only those are wanted; how many now."""
    most = jobs.most_shown(sweep.spec, sweep.n_trials)
    if sweep.spec.get("mlflow", "all") == "all" or not most:
        return 0
    made = 0
    found = best(session, sweep, most=most)
    known = job_ids(session, sweep, [trial.number for trial in found])
    for trial in found:
        if not trial.shown:
            trial.shown = True
            session.flush()
            for job_id in known[trial.number]:
                jobs.forget_run(session, job_id)
            made += 1
    return made


def marks(session: Session, sweep: Sweep) -> list[Mark]:
    """The course of a sweep: each time something was better than all before; how many ended how.

    Steps count the trials that ended, in the order in which they were told.
    """
    statement = (
        select(Trial.number, Trial.status, Trial.objectives, Trial.told_at)
        .where(Trial.sweep_id == sweep.id, Trial.told_at.is_not(None))
        .order_by(Trial.told_at, Trial.number)
    )
    told = [tuple(row) for row in session.execute(statement)]
    if not told:
        return []
    found = [
        mark for index, one in enumerate(_objectives(sweep)) for mark in _course(told, index, one)
    ]
    last_at, step = told[-1][3], len(told)
    for status, count in sorted(Counter(row[1] for row in told).items()):
        found.append(Mark(f"trials/{status}", float(count), last_at, step))
    return found


def _objectives(sweep: Sweep) -> list[dict[str, Any]]:
    given = sweep.spec["objective"]
    return given if isinstance(given, list) else [given]


def _course(
    told: Sequence[tuple[Any, ...]], index: int, objective: dict[str, Any]
) -> Iterator[Mark]:
    sign = 1.0 if objective["direction"] == "minimize" else -1.0
    best_so_far = float("inf")
    for step, (number, status, objectives, at) in enumerate(told, 1):
        if status != "finished" or sign * objectives[index] >= best_so_far:
            continue
        best_so_far = sign * objectives[index]
        yield Mark(f"best/{objective['metric']}", float(objectives[index]), at, step)
        if index == 0:
            yield Mark("best/trial", float(number), at, step)


def _set(session: Session, sweep_id: str, **values: Any) -> None:
    session.execute(
        update(Sweep)
        .where(Sweep.id == sweep_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
