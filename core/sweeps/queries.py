"""Read sweeps and their trials."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, joinedload

from chainrule.contract.status import JobStatus, SweepStatus
from core import jobs
from core.db.tables import DatasetVersion, Job, Sweep, Trial
from core.errors import ConflictError, FieldError, InvalidError, existing
from core.spec.sweep import SweepSpec
from core.sweeps.trial_jobs import combined_status, select_with_jobs
from core.sweeps.trial_outcome import best_of, ranked

# A wide schema takes longer to load than everything else; callers that need it load it later.
_WITHOUT_SCHEMA = joinedload(Sweep.dataset_version, innerjoin=True).defer(DatasetVersion.schema)


@dataclass(frozen=True)
class SweepPage:
    """Sweeps, newest first, and the cursor of the next page (None on the last page)."""

    items: list[Sweep]
    next: str | None


def get(session: Session, sweep_id: str, *, lock: bool = False) -> Sweep:
    """Return a sweep; with `lock`, lock its row until the transaction ends.

    Raises NotFoundError.
    """
    statement = select(Sweep).where(Sweep.id == sweep_id).options(_WITHOUT_SCHEMA)
    if lock:
        statement = statement.with_for_update(of=Sweep).execution_options(populate_existing=True)
    return existing(session.scalar(statement), f"there is no sweep {sweep_id}")


def any_runs(session: Session) -> bool:
    """Return whether any sweep is running."""
    running = select(exists().where(Sweep.status == SweepStatus.RUNNING))
    return session.execute(running).scalar_one()


def trial_counts(session: Session) -> dict[str, int]:
    """Return the number of trials of all sweeps, by status."""
    counted = select(Trial.status, func.count()).group_by(Trial.status)
    return dict(session.execute(counted).all())


def spec_of(sweep: Sweep) -> SweepSpec:
    """Return the spec of a sweep with all edits applied."""
    return _parsed(json.dumps(sweep.spec))


@lru_cache(maxsize=64)
def _parsed(text: str) -> SweepSpec:
    # Validation tries both ends of each dimension: too slow to repeat on each `advance`.
    return SweepSpec.model_validate_json(text)


def list_sweeps(
    session: Session,
    *,
    name: str | None = None,
    dataset: str | None = None,
    status: Sequence[SweepStatus] = (),
    created: tuple[datetime | None, datetime | None] = (None, None),
    cursor: str | None = None,
    limit: int = 50,
) -> SweepPage:
    """Return a page of sweeps that match all filters given, newest first.

    The filters are those of `jobs.list_jobs`. Raises InvalidError for a cursor that no page
    returned.
    """
    statement = select(Sweep).order_by(Sweep.created_at.desc(), Sweep.id.desc()).limit(limit + 1)
    statement = statement.options(_WITHOUT_SCHEMA).where(*jobs.between(Sweep.created_at, *created))
    if name is not None:
        statement = statement.where(Sweep.name == name)
    if dataset is not None:
        versions = jobs.versions_named(dataset)
        statement = statement.where(Sweep.dataset_version_id.in_(versions))
    if status:
        statement = statement.where(Sweep.status.in_(status))
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
    """Return the trials numbered above `after`, in order, each with its job if it has one."""
    statement = select(Trial).where(Trial.sweep_id == sweep_id).order_by(Trial.number).limit(limit)
    if after is not None:
        statement = statement.where(Trial.number > after)
    rows = list(session.scalars(statement))
    if not rows:
        return []
    # A second statement: the joins that always load with a job would drop trials without one.
    own_jobs = (
        select(Job)
        .join(Trial, Trial.job_id == Job.id)
        .where(Trial.sweep_id == sweep_id, Trial.number.between(rows[0].number, rows[-1].number))
    )
    by_id = {job.id: job for job in session.scalars(own_jobs)}
    return [(trial, by_id.get(trial.job_id or "")) for trial in rows]


def counts(session: Session, sweep_id: str) -> dict[str, int]:
    """Return the number of trials in each state; an open trial has the state of its jobs."""
    by_status = (
        select(Trial.status, func.count()).where(Trial.sweep_id == sweep_id).group_by(Trial.status)
    )
    numbers = {str(status): int(count) for status, count in session.execute(by_status)}
    # Only open trials need their jobs: an index has the count of the others.
    if numbers.pop("open", 0):
        by_job = select_with_jobs(get(session, sweep_id), Trial.number, Job.status)
        statuses: dict[int, list[JobStatus]] = {}
        for number, status in session.execute(by_job.where(Trial.status == "open")):
            statuses.setdefault(number, []).append(status)
        for of_trial in statuses.values():
            state = combined_status(of_trial).value
            numbers[state] = numbers.get(state, 0) + 1
    return dict(sorted(numbers.items()))


def best(session: Session, sweep: Sweep, *, most: int = 1) -> list[Trial]:
    """Return the `most` best finished trials by number; of several objectives the Pareto front."""
    if sweep.leading is not None and most == 1:
        numbers = [number for number, _ in sweep.leading]
    else:
        statement = select(Trial.number, Trial.objectives).where(
            Trial.sweep_id == sweep.id, Trial.status == "finished"
        )
        spec = spec_of(sweep)
        finished = [ranked(spec, *row) for row in session.execute(statement)]
        numbers = [number for number, _ in best_of(finished, most)]
    if not numbers:
        return []
    rows = select(Trial).where(Trial.sweep_id == sweep.id, Trial.number.in_(numbers))
    return list(session.scalars(rows.order_by(Trial.number)))


def best_trial(session: Session, sweep: Sweep) -> Trial:
    """Return the best trial, the first one of a front.

    Raises ConflictError while no trial has finished.
    """
    trials = best(session, sweep)
    if not trials:
        raise ConflictError(f"no trial of sweep {sweep.id} has finished yet")
    return trials[0]


def best_job(session: Session, sweep_id: str) -> tuple[Trial, dict[str, Any]]:
    """Return the best trial and the JobSpec document that trains it again.

    Raises NotFoundError, and ConflictError while no trial has finished.
    """
    sweep = get(session, sweep_id)
    trial = best_trial(session, sweep)
    return trial, spec_of(sweep).at(trial.point).model_dump(mode="json")
