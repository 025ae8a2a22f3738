"""Read sweeps and their trials."""

import json
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, joinedload

from core.db.tables import DatasetVersion, Job, Sweep, Trial
from core.errors import ConflictError, FieldError, InvalidError, NotFoundError
from core.spec.sweep import SweepSpec
from core.status import JobStatus, SweepStatus
from core.sweeps.leaderboard import costs, dominates
from core.sweeps.trial_jobs import beside_jobs, standing

# A wide schema takes longer to read than all else; the few who want it load it then.
_SLIM = joinedload(Sweep.dataset_version, innerjoin=True).defer(DatasetVersion.schema)


@dataclass(frozen=True)
class SweepPage:
    """Some sweeps, newest first, and the id to give as the cursor of the next page."""

    items: list[Sweep]
    next: str | None


def get(session: Session, sweep_id: str, *, lock: bool = False) -> Sweep:
    """The sweep. Raises NotFoundError. With `lock` nobody else changes the row meanwhile."""
    statement = select(Sweep).where(Sweep.id == sweep_id).options(_SLIM)
    if lock:
        statement = statement.with_for_update(of=Sweep).execution_options(populate_existing=True)
    sweep = session.scalar(statement)
    if sweep is None:
        raise NotFoundError(f"there is no sweep {sweep_id}")
    return sweep


def any_runs(session: Session) -> bool:
    """Whether a sweep goes on."""
    running = select(exists().where(Sweep.status == SweepStatus.RUNNING))
    return session.execute(running).scalar_one()


def spec_of(sweep: Sweep) -> SweepSpec:
    """What was asked for, with all edits since."""
    return _parsed(json.dumps(sweep.spec))


@lru_cache(maxsize=64)
def _parsed(text: str) -> SweepSpec:
    # Validating tries each end of the search space: too much to do at each turn.
    return SweepSpec.model_validate_json(text)


def list_sweeps(session: Session, *, cursor: str | None = None, limit: int = 50) -> SweepPage:
    """A page of sweeps, newest first. Raises InvalidError for a cursor that no page gave."""
    statement = select(Sweep).order_by(Sweep.created_at.desc(), Sweep.id.desc()).limit(limit + 1)
    statement = statement.options(_SLIM)
    if cursor is not None:
        last = session.get(Sweep, cursor)
        if last is None:
            message = "not a cursor of this list; leave it out to begin at the first page"
            raise InvalidError("the cursor is wrong", [FieldError("query.cursor", message)])
        statement = statement.where(
            (Sweep.created_at < last.created_at)
            | ((Sweep.created_at == last.created_at) & (Sweep.id < last.id))
        )
    rows = list(session.scalars(statement))
    return SweepPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def trials(
    session: Session, sweep_id: str, *, after: int | None = None, limit: int | None = None
) -> list[tuple[Trial, Job | None]]:
    """The trials of a sweep numbered above `after`, in order, each with its job."""
    statement = select(Trial).where(Trial.sweep_id == sweep_id).order_by(Trial.number).limit(limit)
    if after is not None:
        statement = statement.where(Trial.number > after)
    found = list(session.scalars(statement))
    # Not joined: what a job is always loaded with would leave out trials without one.
    wanted = select(Job).join(Trial, Trial.job_id == Job.id).where(Trial.sweep_id == sweep_id)
    if found:
        wanted = wanted.where(Trial.number.between(found[0].number, found[-1].number))
    known = {job.id: job for job in session.scalars(wanted)} if found else {}
    return [(trial, known.get(trial.job_id or "")) for trial in found]


def counts(session: Session, sweep_id: str) -> dict[str, int]:
    """How many trials there are in each state; one that is not over has that of its jobs."""
    mine = Trial.sweep_id == sweep_id
    by_end = select(Trial.status, func.count()).where(mine).group_by(Trial.status)
    found = {str(status): int(count) for status, count in session.execute(by_end)}
    # Only of those that are open more has to be asked: an index has the others.
    if found.pop("open", 0):
        by_job = beside_jobs(get(session, sweep_id), Trial.number, Job.status)
        stands: dict[int, list[JobStatus]] = {}
        for number, status in session.execute(by_job.where(Trial.status == "open")):
            stands.setdefault(number, []).append(status)
        for statuses in stands.values():
            state = standing(statuses).value
            found[state] = found.get(state, 0) + 1
    return dict(sorted(found.items()))


def best(session: Session, sweep: Sweep, *, most: int = 1) -> list[Trial]:
    """The `most` best finished trials, the first of equals; of several objectives the front."""
    if sweep.leading is not None and most == 1:
        numbers = [number for number, _ in sweep.leading]
    else:
        numbers = _compared(session, sweep, most)
    if not numbers:
        return []
    wanted = select(Trial).where(Trial.sweep_id == sweep.id, Trial.number.in_(numbers))
    return list(session.scalars(wanted.order_by(Trial.number)))


def _compared(session: Session, sweep: Sweep, most: int) -> list[int]:
    """The numbers of the best trials, all of them compared."""
    statement = (
        select(Trial.number, Trial.objectives)
        .where(Trial.sweep_id == sweep.id, Trial.status == "finished")
        .order_by(Trial.number)
    )
    found = {
        number: costs(sweep.spec, objectives or ())
        for number, objectives in session.execute(statement)
    }
    if any(len(mine) > 1 for mine in found.values()):
        return [
            number
            for number, mine in found.items()
            if not any(dominates(other, mine) for other in found.values())
        ]
    return nsmallest(most, found, key=lambda number: (found[number], number))


def best_job(session: Session, sweep_id: str) -> tuple[Trial, dict[str, Any]]:
    """The best trial, the first of a front, and the JobSpec document to train it again.

    Raises NotFoundError, ConflictError while no trial has finished.
    """
    sweep = get(session, sweep_id)
    found = best(session, sweep)
    if not found:
        raise ConflictError(f"no trial of sweep {sweep_id} has finished yet")
    spec = SweepSpec.model_validate(sweep.spec)
    return found[0], spec.at(found[0].point).model_dump(mode="json")
