"""Read a job, its attempts and its checkpoints."""

from collections.abc import Collection

from sqlalchemy import JSON, func, select, type_coerce
from sqlalchemy.orm import Session, lazyload

from chainrule.contract.status import AttemptStatus, JobStatus
from core.db.clock import later
from core.db.tables import Attempt, Checkpoint, Job
from core.errors import existing

ALONE = (lazyload(Job.experiment), lazyload(Job.dataset_version))
"""Options of queries that read jobs only; related rows load on access."""


def get(session: Session, job_id: str, *, lock: bool = False) -> Job:
    """The job, with its experiment and dataset version. Raises NotFoundError.

    With `lock` nobody else changes the row until the transaction ends.
    """
    statement = select(Job).where(Job.id == job_id)
    if lock:
        statement = statement.with_for_update(of=Job).execution_options(populate_existing=True)
    return existing(session.scalar(statement), f"there is no job {job_id}")


def existing_jobs(session: Session, job_ids: Collection[str]) -> set[str]:
    """Those of these ids that are ids of jobs."""
    return set(session.scalars(select(Job.id).where(Job.id.in_(job_ids))))


def attempts(session: Session, job_id: str) -> list[Attempt]:
    """The attempts of a job, first one first."""
    statement = select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)
    return list(session.scalars(statement))


def checkpoints(session: Session, job_id: str) -> list[Checkpoint]:
    """The checkpoints of a job whose bytes still exist, newest first."""
    statement = (
        select(Checkpoint)
        .where(Checkpoint.job_id == job_id, Checkpoint.erased_at.is_(None))
        .order_by(Checkpoint.attempt.desc(), Checkpoint.step.desc())
    )
    return list(session.scalars(statement))


def status_counts(session: Session) -> dict[JobStatus, int]:
    """The number of jobs in each status that any job has."""
    counted = select(Job.status, func.count()).group_by(Job.status)
    return dict(session.execute(counted).all())


def ended_attempts(session: Session, seconds: float) -> dict[tuple[AttemptStatus, str], int]:
    """How many attempts ended in the last `seconds`, by status and kind of cause.

    The kind of attempts without a cause is empty.
    """
    kind = func.coalesce(type_coerce(Attempt.cause, JSON)["kind"].as_string(), "")
    ended = (
        select(Attempt.status, kind.label("kind"))
        .where(Attempt.ended_at > later(-seconds))
        .subquery()
    )
    counted = select(ended.c.status, ended.c.kind, func.count()).group_by(
        ended.c.status, ended.c.kind
    )
    return {(status, cause): count for status, cause, count in session.execute(counted)}


def checkpoint_bytes(session: Session) -> int:
    """The bytes of all checkpoints in the store."""
    total = select(func.coalesce(func.sum(Checkpoint.bytes), 0))
    return int(session.scalar(total.where(Checkpoint.erased_at.is_(None))) or 0)
