"""The policy that reduces the curves of old jobs to the points that pages draw."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Row, Select, func, select, update

from core.db.clock import now
from core.db.session import reading, transaction
from core.db.tables import Job, MetricChunk
from core.jobs.curves.retention import outlines, thin
from core.jobs.curves.simplification import MOST_POINTS
from core.retention.policy import Freed, Item, RetentionPolicy, Storage

BATCH_JOBS = 100
_POINTS = (
    select(func.coalesce(func.sum(MetricChunk.count), 0))
    .where(MetricChunk.job_id == Job.id)
    .correlate(Job)
    .scalar_subquery()
)


class CurvePolicy(RetentionPolicy):
    """Reduces curves of more than a thousand points of jobs that ended before the cutoff.

    The ends and the extremes of each curve stay. A job is examined once: `thinned_at` records it.
    """

    def overdue(self, storage: Storage) -> Freed:
        freed = Freed()
        with reading(storage.engine) as session:
            long = self._old(storage).where(_POINTS > MOST_POINTS)
            for job_id, _ in session.execute(long).all():
                changes = outlines(session, job_id)
                freed += _freed(job_id, sum(change.bytes for change in changes))
        return freed

    def apply(self, storage: Storage) -> Iterator[Freed]:
        batch: Sequence[Row[str, int]]
        while True:
            with reading(storage.engine) as session:
                batch = session.execute(self._old(storage).limit(BATCH_JOBS)).all()
            if not batch:
                return
            short = [job_id for job_id, count in batch if count <= MOST_POINTS]
            with transaction(storage.engine) as session:
                done = update(Job).where(Job.id.in_(short)).values(thinned_at=now())
                session.execute(done.execution_options(synchronize_session=False))
            yield Freed()
            for job_id, count in batch:
                if count > MOST_POINTS:
                    yield _thinned(storage, job_id)

    def _old(self, storage: Storage) -> Select[str, int]:
        """The jobs to examine, each with the number of its points."""
        statement = (
            select(Job.id, _POINTS)
            .where(Job.finished_at <= self.cutoff, Job.thinned_at.is_(None))
            .order_by(Job.finished_at)
        )
        if storage.mirrored_only:
            statement = statement.where(Job.mirrored_status == Job.status)
        return statement


def _thinned(storage: Storage, job_id: str) -> Freed:
    """Thin the curves of a job, computed before the transaction begins; what that freed."""
    with reading(storage.engine) as session:
        changes = outlines(session, job_id)
    with transaction(storage.engine) as session:
        own = (Job.id == job_id, Job.thinned_at.is_(None))
        if session.scalar(select(Job.id).where(*own).with_for_update()) is None:
            return Freed()  # another scheduler was faster
        thin(session, changes)
        session.execute(
            update(Job)
            .where(*own)
            .values(thinned_at=now())
            .execution_options(synchronize_session=False)
        )
    return _freed(job_id, sum(change.bytes for change in changes))


def _freed(job_id: str, size: int) -> Freed:
    return Freed(bytes=size, items=(Item("metrics", job_id, "", size),)) if size else Freed()


def metrics(days: float) -> RetentionPolicy:
    """Points of curves of jobs that ended so many days ago, except the outlines."""
    return CurvePolicy("metrics", days)
