"""What MLflow lacks of sweeps. The rows say it; a mirror sends it.

All of it follows from the rows and the timestamps in them, so sending it again changes nothing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session

from chainrule.contract.status import SweepStatus
from core import jobs
from core.db import mirrored
from core.db.clock import now
from core.db.tables import Job, Sweep, Trial
from core.sweeps.queries import best, get
from core.sweeps.trial_jobs import job_ids, select_with_jobs


@dataclass(frozen=True)
class SweepPoint:
    """A value of a sweep's metric at the `step` that `Sweep.outcomes` had by then."""

    key: str
    value: float
    at: datetime
    step: int


def behind(session: Session, *, limit: int = 100) -> list[str]:
    """Ids of sweeps whose runs may not be up to date, oldest first."""
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


def of_jobs(session: Session, rows: Sequence[Job]) -> list[Sweep]:
    """The sweeps that these jobs belong to, read in one query."""
    sweep_ids = {row.tags[jobs.SWEEP_TAG] for row in rows if jobs.SWEEP_TAG in row.tags}
    return list(session.scalars(select(Sweep).where(Sweep.id.in_(sweep_ids))))


def record_sweep_run(session: Session, sweep_id: str, run_id: str) -> str:
    """Set the sweep's run to `run_id` unless it has one; the run that it has now.

    Runs of its trials that exist already are moved below it.
    """
    if (present := mirrored.record_run(session, Sweep, sweep_id, run_id)) != run_id:
        return present
    trial_jobs = select_with_jobs(get(session, sweep_id), Job.id)
    session.execute(
        update(Job)
        .where(Job.id.in_(trial_jobs), Job.mlflow_run_id.is_not(None))
        .values(mirrored_status=None)
        .execution_options(synchronize_session=False)
    )
    return run_id


def forget_sweep_runs(session: Session) -> int:
    """Forget the runs of all sweeps; of how many. All of them is sent again."""
    statement = (
        update(Sweep)
        .where(Sweep.mlflow_run_id.is_not(None))
        .values(mlflow_run_id=None, mirrored_status=None, mirror_failures=0)
        .execution_options(synchronize_session=False)
        .returning(Sweep.id)
    )
    return len(session.scalars(statement).all())


def record_sweep_mirrored(
    session: Session, sweep_id: str, status: SweepStatus, run_id: str
) -> bool:
    """Record that MLflow confirmed `status`; False when status or run changed in the meantime."""
    statement = (
        update(Sweep)
        .where(Sweep.id == sweep_id, Sweep.status == status, Sweep.mlflow_run_id == run_id)
        .values(mirrored_status=status.value, mirror_failures=0)
        .execution_options(synchronize_session=False)
        .returning(Sweep.id)
    )
    return session.scalar(statement) is not None


def complete(session: Session, sweep: Sweep) -> bool:
    """Whether a sweep and each of its trials has ended."""
    left = exists().where(Trial.sweep_id == sweep.id, Trial.status == "open")
    return sweep.status.terminal and not session.execute(select(left)).scalar_one()


def show_best(session: Session, sweep: Sweep) -> int:
    """Give runs to the best trials of an ended sweep if only those get runs; how many got one."""
    most = jobs.max_runs(sweep.spec, sweep.n_trials)
    if sweep.spec.get("mlflow", "all") == "all" or not most:
        return 0
    count = 0
    best_trials = best(session, sweep, most=most)
    ids = job_ids(session, sweep, [trial.number for trial in best_trials])
    for trial in best_trials:
        if not trial.shown:
            trial.shown = True
            session.flush()
            for job_id in ids[trial.number]:
                jobs.forget_run(session, job_id)
            count += 1
    return count


def sweep_points(session: Session, sweep: Sweep) -> list[SweepPoint]:
    """The metrics of a sweep: each new best value, and the number of trials by outcome.

    A new best value is at the ordinal of its trial's outcome. A retry of trials takes an ordinal
    as well, so that no number of trials changes at a step that MLflow already has.
    """
    statement = (
        select(Trial.ordinal, Trial.number, Trial.status, Trial.objectives, Trial.told_at)
        .where(Trial.sweep_id == sweep.id, Trial.ordinal.is_not(None))
        .order_by(Trial.ordinal)
    )
    ended = [tuple(row) for row in session.execute(statement)]
    if not ended:
        return []
    points = [
        point
        for index, objective in enumerate(_objectives(sweep))
        for point in _new_bests(ended, index, objective)
    ]
    last_at = ended[-1][4]
    for status, count in sorted(Counter(row[2] for row in ended).items()):
        points.append(SweepPoint(f"trials/{status}", float(count), last_at, sweep.outcomes))
    return points


def _objectives(sweep: Sweep) -> list[dict[str, Any]]:
    given = sweep.spec["objective"]
    return given if isinstance(given, list) else [given]


def _new_bests(
    ended: Sequence[tuple[Any, ...]], index: int, objective: dict[str, Any]
) -> Iterator[SweepPoint]:
    sign = 1.0 if objective["direction"] == "minimize" else -1.0
    best_so_far = float("inf")
    for step, number, status, objectives, at in ended:
        if status != "finished" or sign * objectives[index] >= best_so_far:
            continue
        best_so_far = sign * objectives[index]
        yield SweepPoint(f"best/{objective['metric']}", float(objectives[index]), at, step)
        if index == 0:
            yield SweepPoint("best/trial", float(number), at, step)
