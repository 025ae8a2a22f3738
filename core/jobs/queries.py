"""Read jobs: one, or pages of them."""

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import JSON, ColumnElement, Select, func, literal, select, tuple_, type_coerce
from sqlalchemy.orm import Session, lazyload

from chainrule.contract.status import AttemptStatus, JobKind, JobStatus
from core.db.clock import later
from core.db.tables import Attempt, Checkpoint, Dataset, DatasetVersion, Experiment, Job
from core.db.types import Timestamp, from_milliseconds, to_milliseconds
from core.errors import FieldError, InvalidError, existing

ALONE = (lazyload(Job.experiment), lazyload(Job.dataset_version))
"""Options of queries that read jobs only; related rows load on access."""


@dataclass(frozen=True)
class Page:
    """Some jobs, newest first, and the cursor of the next page (None: there is none)."""

    items: list[Job]
    next: str | None


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


def list_jobs(  # noqa: PLR0913 - each is a filter
    session: Session,
    *,
    owner: str | None = None,
    experiment: str | None = None,
    dataset: str | None = None,
    name: str | None = None,
    kind: JobKind | None = None,
    status: Sequence[JobStatus] = (),
    tags: dict[str, str] | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """A page of jobs, newest first, that match all filters given.

    `dataset` is `name` or `name@3`. Raises InvalidError for a cursor that no page gave.
    """
    statement = select(Job).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit + 1)
    if owner is not None:
        statement = statement.where(Job.owner == owner)
    if name is not None:
        statement = statement.where(Job.name == name)
    if kind is not None:
        statement = statement.where(Job.kind == kind)
    if status:
        statement = statement.where(Job.status.in_(status))
    if experiment is not None:
        same = select(Experiment.id).where(Experiment.name == experiment)
        statement = statement.where(Job.experiment_id == same.scalar_subquery())
    if dataset is not None:
        statement = statement.where(Job.dataset_version_id.in_(_versions(dataset)))
    for key, value in (tags or {}).items():
        statement = statement.where(type_coerce(Job.tags, JSON)[key].as_string() == value)
    if cursor is not None:
        statement = statement.where(_beyond(cursor))
    jobs = list(session.scalars(statement))
    more = len(jobs) > limit
    return Page(jobs[:limit], _cursor(jobs[limit - 1]) if more else None)


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


def _versions(dataset: str) -> Select[int]:
    name, _, version = dataset.partition("@")
    statement = select(DatasetVersion.id).join(Dataset).where(Dataset.name == name)
    if version:
        known = version.isascii() and version.isdigit() and len(version) < 10
        number = int(version) if known else -1
        statement = statement.where(DatasetVersion.version == number)
    return statement


def _cursor(job: Job) -> str:
    text = f"{to_milliseconds(job.created_at)}.{job.id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _beyond(cursor: str) -> ColumnElement[bool]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        count, job_id = text.split(".")
        moment = from_milliseconds(int(count))
    except (binascii.Error, ValueError, OverflowError) as error:
        message = "not a cursor of this list; leave it out to begin at the first page"
        raise InvalidError("the cursor is wrong", [FieldError("cursor", message)]) from error
    # A literal with its type: SQLite would compare a bare datetime as text.
    return tuple_(Job.created_at, Job.id) < tuple_(literal(moment, Timestamp()), literal(job_id))
