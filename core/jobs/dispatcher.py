"""Which waiting jobs are rung next: the database decides the order, the broker wakes workers.

Only a few jobs are rung at a time (the window), so priorities and cancellations act on rows and
ten thousand waiting jobs cost the broker nothing. A bell that got lost is rung again.
"""

from collections.abc import Callable

from sqlalchemy import Engine, func, or_, select, update
from sqlalchemy.orm import Session

from core.db.clock import later, now
from core.db.session import reading, transaction
from core.db.tables import Job
from core.errors import UnavailableError
from core.jobs.eligibility import eligible
from core.spec.version import SPEC_VERSION
from core.status import JobStatus


def dispatch(
    engine: Engine,
    ring: Callable[[str, str], None],
    *,
    queue: str,
    window: int,
    again_seconds: float = 30.0,
    spec_version: int = SPEC_VERSION,
) -> int:
    """Call `ring(job_id, queue)` for the jobs next in turn on `queue`; how many were rung.

    At most `window` jobs are rung and unclaimed at a time; one that stays unclaimed for
    `again_seconds` is rung again. Left out are those that need a higher `spec_version` than the
    workers of the queue know. No transaction is open while the bell rings: a frozen broker
    holds up nobody, a crash in between rings twice at most. Stops quietly when `ring` raises
    UnavailableError; raises it when the database does not answer.
    """
    with reading(engine) as session:
        job_ids = due(
            session, queue, window, again_seconds=again_seconds, spec_version=spec_version
        )
    rung = []
    try:
        for job_id in job_ids:
            ring(job_id, queue)
            rung.append(job_id)
    except UnavailableError:
        pass
    if rung:
        with transaction(engine) as session:
            mark_rung(session, rung)
    return len(rung)


def due(
    session: Session,
    queue: str,
    window: int,
    *,
    again_seconds: float = 30.0,
    spec_version: int = SPEC_VERSION,
    claimant: tuple[str, str] | None = None,
) -> list[str]:
    """The ids of jobs to ring now, in turn: by priority, then each owner's oldest, then age.

    Only of those that a worker can read that knows `spec_version`; with a `claimant`, a node and
    its worker, only those that it may claim.
    """
    free = window - ringing(session, queue, again_seconds=again_seconds)
    if free <= 0:
        return []
    turn = func.row_number().over(
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
        .order_by(Job.priority.desc(), turn, Job.created_at, Job.id)
        .limit(free)
    )
    if claimant is not None:
        statement = statement.where(eligible(*claimant))
    return list(session.scalars(statement))


def ringing(session: Session, queue: str, *, again_seconds: float = 30.0) -> int:
    """How many waiting jobs of `queue` were rung less than `again_seconds` ago."""
    statement = select(func.count()).where(
        Job.queue == queue,
        Job.status == JobStatus.QUEUED,
        Job.published_at >= later(-again_seconds),
    )
    return session.execute(statement).scalar_one()


def mark_rung(session: Session, job_ids: list[str]) -> None:
    """Note that these jobs were rung just now; those that run by now stay untouched."""
    session.execute(
        update(Job)
        .where(Job.id.in_(job_ids), Job.status == JobStatus.QUEUED)
        .values(published_at=now(), publish_count=Job.publish_count + 1)
        .execution_options(synchronize_session=False)
    )


def unring(session: Session, job_id: str) -> None:
    """Let a waiting job be rung again at once: who heard the bell takes no jobs."""
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.QUEUED)
        .values(published_at=None)
        .execution_options(synchronize_session=False)
    )


def may_ring(session: Session, job: Job, *, window: int = 16) -> bool:
    """Whether a job may be rung by whoever just submitted it; if so it is marked as rung.

    Saves it the wait for the next dispatch, unless enough jobs are rung already. For use in the
    transaction that submits, the bell itself after its commit.
    """
    waits = job.status is JobStatus.QUEUED and job.published_at is None
    if not waits or ringing(session, job.queue) >= window:
        return False
    job.published_at = now()
    job.publish_count += 1
    session.flush()
    return True


def queue_depths(session: Session) -> dict[str, tuple[int, float]]:
    """For each queue with waiting jobs how many there are and the age of the oldest in seconds."""
    statement = (
        select(Job.queue, func.count(), func.min(Job.created_at), now())
        .where(Job.status == JobStatus.QUEUED)
        .group_by(Job.queue)
    )
    return {
        queue: (count, (moment - oldest).total_seconds())
        for queue, count, oldest, moment in session.execute(statement)
    }
