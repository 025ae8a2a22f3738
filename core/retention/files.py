"""Policies that delete files of ended jobs from the store."""

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from chainrule.contract.status import TERMINAL, JobKind, JobStatus
from core.data.storage.stores import StoredFile
from core.db.clock import now
from core.db.session import reading, transaction
from core.db.tables import Checkpoint, Job, ModelVersion
from core.jobs.deletion import FOLDERS
from core.jobs.queries import ALONE
from core.retention.policy import DAY_SECONDS, Freed, Item, RetentionPolicy, Storage

BATCH_FILES = 100
LOCKED_FILES = 20
"""Files that are deleted while the rows of their jobs are locked."""


class CheckpointPolicy(RetentionPolicy):
    """Deletes the checkpoints of jobs that ended before the cutoff: nothing resumes from them."""

    def overdue(self, storage: Storage) -> Freed:
        statement = select(Checkpoint).where(self._condition()).order_by(Checkpoint.created_at)
        with reading(storage.engine) as session:
            rows = session.scalars(statement).all()
        return sum(map(_of_checkpoint, rows), Freed())

    def apply(self, storage: Storage) -> Iterator[Freed]:
        old = (
            select(Checkpoint.id)
            .where(self._condition())
            .order_by(Checkpoint.created_at)
            .limit(BATCH_FILES)
        )
        erasing = (
            update(Checkpoint)
            .where(Checkpoint.id.in_(old), Checkpoint.erased_at.is_(None))
            .values(erased_at=now())
            .returning(Checkpoint)
            .execution_options(synchronize_session=False)
        )
        while True:
            # The rows first: a file without a row is deleted later, a row without a file misleads.
            with transaction(storage.engine) as session:
                rows = session.scalars(erasing).all()
                ids = [row.id for row in rows]
                session.execute(
                    update(Job)
                    .where(Job.checkpoint_id.in_(ids))
                    .values(checkpoint_id=None)
                    .execution_options(synchronize_session=False)
                )
            for row in rows:
                storage.store.delete(row.key)
            if rows:
                yield sum(map(_of_checkpoint, rows), Freed())
            if len(rows) < BATCH_FILES:
                return

    def _condition(self) -> ColumnElement[bool]:
        ended = exists().where(Job.id == Checkpoint.job_id, Job.finished_at <= self.cutoff)
        return Checkpoint.erased_at.is_(None) & (Checkpoint.created_at <= self.cutoff) & ended


@dataclass(frozen=True)
class JobFile:
    """A file in the store, and the ended job whose id its key has."""

    file: StoredFile
    job: Job

    @property
    def named(self) -> bool:
        """Whether the result of the job names the file."""
        result = self.job.result or {}
        return self.file.key in (result.get("model_key"), result.get("predictions_key"))


class FilePolicy(RetentionPolicy):
    """Deletes files in `folders` of jobs that ended before the cutoff, chosen by `superfluous`.

    Files of unknown jobs are kept: the store may have another database, too.
    """

    pass_seconds = 86_400.0  # all files are listed

    def __init__(self, kind: str, days: float, item: str, folders: Sequence[str]) -> None:
        super().__init__(kind, days)
        self._item, self._folders = item, folders

    @abstractmethod
    def superfluous(
        self, session: Session, files: Sequence[JobFile], storage: Storage
    ) -> list[JobFile]:
        """Those of `files` that are deleted."""

    def overdue(self, storage: Storage) -> Freed:
        batches = self._batches(storage)
        return sum((self._freed([old.file for old in files]) for files in batches), Freed())

    def apply(self, storage: Storage) -> Iterator[Freed]:
        for files in self._batches(storage):
            yield self._freed([old.file for old in self._delete(storage, files)])

    def _delete(self, storage: Storage, files: Sequence[JobFile]) -> Sequence[JobFile]:
        """Delete files, except those that are needed by now; which were deleted."""
        for old in files:
            storage.store.delete(old.file.key)
        return files

    def _batches(self, storage: Storage) -> Iterator[list[JobFile]]:
        """Files to delete, as they are listed; some batches are empty."""
        listed = (file for folder in self._folders for file in storage.store.files(folder))
        while batch := list(islice(listed, BATCH_FILES)):
            with reading(storage.engine) as session:
                jobs = self._ended(session, {_job_id(file.key) for file in batch})
                files = [
                    JobFile(file, jobs[_job_id(file.key)])
                    for file in batch
                    if _job_id(file.key) in jobs
                ]
                old = self.superfluous(session, files, storage)
            yield old

    def _ended(self, session: Session, ids: Collection[str]) -> Mapping[str, Job]:
        statement = select(Job).where(
            Job.id.in_(ids), Job.status.in_(TERMINAL), Job.finished_at <= self.cutoff
        )
        return {job.id: job for job in session.scalars(statement.options(*ALONE))}

    def _freed(self, files: Sequence[StoredFile]) -> Freed:
        items = tuple(Item(self._item, _job_id(f.key), f.key, f.bytes) for f in files)
        return Freed(files=len(items), bytes=sum(item.bytes for item in items), items=items)


class ModelPolicy(FilePolicy):
    """Deletes models that are neither registered nor used by a job that has not ended."""

    def superfluous(
        self, session: Session, files: Sequence[JobFile], storage: Storage
    ) -> list[JobFile]:
        named = [old for old in files if old.named and old.job.status is JobStatus.FINISHED]
        if storage.mirrored_only:
            named = [old for old in named if old.job.mirrored_status == old.job.status.value]
        used = _used(session, {old.job.id for old in named})
        return [old for old in named if old.job.id not in used]

    def _delete(self, storage: Storage, files: Sequence[JobFile]) -> Sequence[JobFile]:
        deleted: list[JobFile] = []
        for start in range(0, len(files), LOCKED_FILES):
            some = files[start : start + LOCKED_FILES]
            with transaction(storage.engine) as session:
                # The jobs are locked, so their models cannot be registered at the same moment.
                ids = {old.job.id for old in some}
                locking = select(Job.id).where(Job.id.in_(ids)).order_by(Job.id)
                session.scalars(locking.with_for_update()).all()
                deleted += super()._delete(storage, self.superfluous(session, some, storage))
        return deleted


class PredictionPolicy(FilePolicy):
    """Deletes the files of scoring jobs."""

    def superfluous(
        self, session: Session, files: Sequence[JobFile], storage: Storage
    ) -> list[JobFile]:
        return [old for old in files if old.named and old.job.kind is JobKind.SCORE]


class OrphanPolicy(FilePolicy):
    """Deletes files that no row names: attempts left them that were lost while they wrote.

    So are writes to the store that were begun and not finished, at least a day ago.
    """

    def overdue(self, storage: Storage) -> Freed:
        return super().overdue(storage) + _unfinished(list(self._begun(storage)))

    def apply(self, storage: Storage) -> Iterator[Freed]:
        yield from super().apply(storage)
        for file in self._begun(storage):
            storage.store.discard(file)
            yield _unfinished([file])

    def _begun(self, storage: Storage) -> Iterator[StoredFile]:
        return storage.store.unfinished(DAY_SECONDS * max(self.days, 1.0))

    def superfluous(
        self, session: Session, files: Sequence[JobFile], storage: Storage
    ) -> list[JobFile]:
        ids = {old.job.id for old in files}
        statement = select(Checkpoint.key).where(
            Checkpoint.job_id.in_(ids), Checkpoint.erased_at.is_(None)
        )
        kept = set(session.scalars(statement))
        return [old for old in files if not old.named and old.file.key not in kept]


def _unfinished(files: Sequence[StoredFile]) -> Freed:
    return Freed(files=len(files), bytes=sum(file.bytes for file in files))


def checkpoints(days: float) -> RetentionPolicy:
    """Checkpoints of jobs that ended so many days ago."""
    return CheckpointPolicy("checkpoints", days)


def models(days: float) -> RetentionPolicy:
    """Models of jobs that finished so many days ago, unless registered or in use."""
    return ModelPolicy("models", days, "model", ["models"])


def predictions(days: float) -> RetentionPolicy:
    """Prediction files of jobs that finished so many days ago."""
    return PredictionPolicy("predictions", days, "predictions", ["predictions"])


def orphans(days: float) -> RetentionPolicy:
    """Files that no row names, of jobs that ended so many days ago."""
    return OrphanPolicy("orphans", days, "orphan", FOLDERS)


def _used(session: Session, ids: Collection[str]) -> set[str]:
    """Those of these jobs whose models are registered, or used by a job that has not ended."""
    user = aliased(Job)
    registered = exists().where(ModelVersion.job_id == Job.id)
    used = exists().where(user.model_job_id == Job.id, user.status.not_in(TERMINAL))
    return set(session.scalars(select(Job.id).where(Job.id.in_(ids), or_(registered, used))))


def _job_id(key: str) -> str:
    return key.split("/")[1] if key.count("/") else ""


def _of_checkpoint(row: Checkpoint) -> Freed:
    item = Item("checkpoint", row.job_id, row.key, row.bytes)
    return Freed(files=1, bytes=row.bytes, items=(item,))
