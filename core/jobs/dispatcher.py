"""Which queued jobs workers are notified of: the database decides, the broker carries messages.

Messages are sent for a few jobs at a time (the window), so priorities and cancellations act on rows
and ten thousand queued jobs cost the broker nothing. A message that was lost is sent again.
"""

from collections.abc import Callable

from sqlalchemy import Engine, exists, func, or_, select, update
from sqlalchemy.orm import Session

from chainrule.contract.status import JobStatus
from core.db.clock import later, now
from core.db.session import reading, transaction
from core.db.tables import Job
from core.errors import UnavailableError
from core.jobs.eligibility import eligible
from core.spec.version import SPEC_VERSION


def dispatch(
    engine: Engine,
    notify: Callable[[str, str], None],
    *,
    queue: str,
    window: int,
    again_seconds: float = 30.0,
    spec_version: int = SPEC_VERSION,
) -> int:
    """Call `notify(job_id, queue)` for the next jobs of `queue`; the number of messages sent.

    At most `window` jobs are notified and unclaimed at a time; one that stays unclaimed for
    `again_seconds` is notified again. Jobs that need a higher `spec_version` than the workers of
    the queue know are left out. No transaction is open meanwhile: a frozen broker blocks nobody, a
    crash sends a message twice at most. Stops quietly when `notify` raises UnavailableError; raises
    it when the database does not answer.
    """
    with reading(engine) as session:
        job_ids = due(
            session, queue, window, again_seconds=again_seconds, spec_version=spec_version
        )
    notified = []
    try:
        for job_id in job_ids:
            notify(job_id, queue)
            notified.append(job_id)
    except UnavailableError:
        pass
    if notified:
        with transaction(engine) as session:
            mark_notified(session, notified)
    return len(notified)


def any_queued(session: Session) -> bool:
    """Whether any job is queued: cheap, index-only check for pending work."""
    queued = select(exists().where(Job.status == JobStatus.QUEUED))
    return session.execute(queued).scalar_one()


def due(
    session: Session,
    queue: str,
    window: int,
    *,
    again_seconds: float = 30.0,
    spec_version: int = SPEC_VERSION,
    claimant: tuple[str, str] | None = None,
) -> list[str]:
    """The ids of the next jobs to notify workers of: by priority, then by rank of age per owner.

    Only jobs that a worker that knows `spec_version` can read; with a `claimant`, a node and its
    worker, only jobs that it may claim.
    """
    free = window - in_flight(session, queue, again_seconds=again_seconds)
    if free <= 0:
        return []
    rank = func.row_number().over(
        partition_by=(Job.priority, Job.owner), order_by=(Job.created_at, Job.id)
    )
    statement = (
        select(Job.id)
        .where(
            Job.queue == queue,
            Job.status == JobStatus.QUEUED,
            Job.not_before <= now(),
            Job.spec_version <= spec_version,
            or_(Job.published_at.is_(None), Job.published_at < later(-again_seconds)),
        )
        .order_by(Job.priority.desc(), rank, Job.created_at, Job.id)
        .limit(free)
    )
    if claimant is not None:
        statement = statement.where(eligible(*claimant))
    return list(session.scalars(statement))


def in_flight(session: Session, queue: str, *, again_seconds: float = 30.0) -> int:
    """The number of queued jobs of `queue` notified less than `again_seconds` ago."""
    statement = select(func.count()).where(
        Job.queue == queue,
        Job.status == JobStatus.QUEUED,
        Job.published_at >= later(-again_seconds),
    )
    return session.execute(statement).scalar_one()


def mark_notified(session: Session, job_ids: list[str]) -> None:
    """Record that messages for these jobs were sent now; jobs that already run stay untouched."""
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids), Job.status == JobStatus.QUEUED)
        .values(published_at=now(), publish_count=Job.publish_count + 1)
        .execution_options(synchronize_session=False)
    )


def notify_again(session: Session, job_id: str) -> None:
    """Have another message sent for a queued job: the worker that received one cannot take it."""
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.QUEUED)
        .values(published_at=None)
        .execution_options(synchronize_session=False)
    )


def may_notify(session: Session, job: Job, *, window: int = 16) -> bool:
    """Whether the submitter of a job may notify workers itself; if so, the job is marked.

    This saves the wait for the next dispatch, unless enough jobs are notified already. Call it in
    the transaction that submits; send the message after the commit.
    """
    queued = job.status is JobStatus.QUEUED and job.published_at is None
    if not queued or in_flight(session, job.queue) >= window:
        return False
    job.published_at = now()
    job.publish_count += 1
    session.flush()
    return True


def queue_depths(session: Session) -> dict[str, tuple[int, float]]:
    """For each queue with queued jobs their number and the age of the oldest in seconds."""
    statement = (
        select(Job.queue, func.count(), func.min(Job.created_at), now())
        .where(Job.status == JobStatus.QUEUED)
        .group_by(Job.queue)
    )
    return {
        queue: (count, (moment - oldest).total_seconds())
        for queue, count, oldest, moment in session.execute(statement)
    }
