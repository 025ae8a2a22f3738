"""The policy that deletes whole jobs, with their rows and files."""

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, and_, exists, func, literal, not_, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from core.db.session import reading, transaction
from core.db.tables import Evaluation, Fold, Job, ModelVersion, Trial
from core.db.types import Timestamp
from core.jobs.deletion import erase_all
from core.retention.policy import Freed, RetentionPolicy, Storage
from core.retention.sizes import row_bytes

BATCH_JOBS = 20
EXAMINED_JOBS = 500


class JobPolicy(RetentionPolicy):
    """Deletes jobs that ended before the cutoff, with all that they left.

    Kept are trials of sweeps, jobs whose model is registered or evaluated, evaluations, and jobs
    whose model a job uses that is kept.
    """

    pass_seconds = 86_400.0  # kept jobs are examined each time

    def overdue(self, storage: Storage) -> Freed:
        statement = select(func.count()).select_from(Job).where(self._condition(storage))
        with reading(storage.engine) as session:
            count = session.scalar(statement) or 0
            return Freed(rows=count, bytes=count * row_bytes(session, Job) if count else 0)

    def apply(self, storage: Storage) -> Iterator[Freed]:
        with reading(storage.engine) as session:
            size = row_bytes(session, Job)
        for ids in self._batches(storage):
            with transaction(storage.engine) as session:
                count = self._delete(session, storage, ids)
            yield Freed(rows=count, bytes=count * size)

    def _batches(self, storage: Storage) -> Iterator[Sequence[str]]:
        """Ids of jobs to delete; each old job is examined once."""
        ordered = select(Job.id, Job.created_at, self._condition(storage)).order_by(
            Job.created_at, Job.id
        )
        statement = ordered.where(Job.created_at <= self.cutoff)
        while True:
            with reading(storage.engine) as session:
                rows = session.execute(statement.limit(EXAMINED_JOBS)).all()
            ids = [job_id for job_id, _, deleted in rows if deleted]
            for start in range(0, len(ids), BATCH_JOBS):
                yield ids[start : start + BATCH_JOBS]
            if len(rows) < EXAMINED_JOBS:
                return
            last_id, created_at, _ = rows[-1]
            beyond = tuple_(literal(created_at, Timestamp()), literal(last_id))
            statement = ordered.where(
                Job.created_at <= self.cutoff, tuple_(Job.created_at, Job.id) > beyond
            )

    def _condition(self, storage: Storage) -> ColumnElement[bool]:
        user = aliased(Job)
        needed = or_(
            exists().where(Trial.job_id == Job.id),
            exists().where(Fold.job_id == Job.id),
            exists().where(ModelVersion.job_id == Job.id),
            exists().where(Evaluation.evaluated_by == Job.id),
            exists().where(user.model_job_id == Job.id),
        )
        ended = and_(Job.finished_at.is_not(None), Job.finished_at <= self.cutoff)
        if storage.mirrored_only:
            ended = and_(ended, Job.mirrored_status == Job.status)
        return and_(ended, not_(needed))

    def _delete(self, session: Session, storage: Storage, ids: Sequence[str]) -> int:
        """Delete those of these jobs that are still of no use; how many."""
        # Locked, so that no model is registered whose file is deleted at the same moment.
        locking = select(Job.id).where(Job.id.in_(ids)).order_by(Job.id).with_for_update()
        session.scalars(locking).all()
        checking = select(Job).where(Job.id.in_(ids), self._condition(storage))
        deleted = list(session.scalars(checking))
        erase_all(session, storage.store, deleted)
        return len(deleted)


def jobs(days: float) -> RetentionPolicy:
    """Jobs that ended so many days ago, with all that they left."""
    return JobPolicy("jobs", days)
