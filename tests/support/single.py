"""The writes of one job's attempt: short forms of the use cases for several, which raise."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.db.tables import Job
from core.jobs.attempt.outcome import End, finish_all, lose_all, release_all
from core.jobs.attempt.ownership import superseded
from core.jobs.attempt.reports import Report, write
from core.jobs.logs import Line
from core.jobs.points import Point


def record_metrics(
    session: Session,
    job_id: str,
    attempt: int,
    sequence: int,
    points: Sequence[Point],
    *,
    progress: Mapping[str, Any] | None = None,
    lines: Sequence[Line] = (),
) -> None:
    """Write one Report as `write` does. Raises SupersededError."""
    report = Report.of(sequence, points, progress, lines)
    _require(job_id, attempt, write(session, {job_id: attempt}, {job_id: report}))


def finish(session: Session, job_id: str, attempt: int, status: JobStatus, **details: Any) -> Job:
    """End the job as `finish_all` does; `details` are those of an End. Raises SupersededError."""
    end = End(status, **details)
    _require(job_id, attempt, finish_all(session, {job_id: attempt}, {job_id: end}))
    return session.get_one(Job, job_id)


def release(
    session: Session, job_id: str, attempt: int, *, cause: dict[str, Any] | None = None
) -> Job:
    """Give the job back as `release_all` does. Raises SupersededError."""
    _require(job_id, attempt, release_all(session, {job_id: attempt}, cause=cause))
    return session.get_one(Job, job_id)


def lose(session: Session, job_id: str, attempt: int, **loss: Any) -> Job:
    """End the attempt as `lose_all` does, with its arguments. Raises SupersededError."""
    _require(job_id, attempt, lose_all(session, {job_id: attempt}, **loss))
    return session.get_one(Job, job_id)


def _require(job_id: str, attempt: int, owned: set[str]) -> None:
    if job_id not in owned:
        raise superseded(job_id, attempt)
