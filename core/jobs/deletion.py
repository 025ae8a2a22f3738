"""Delete ended jobs with all that they left: files, history and, later, the run in MLflow."""

from collections.abc import Sequence

from sqlalchemy import Select, or_, select
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Session

from chainrule.contract.status import TERMINAL
from core.data.storage.stores import Store
from core.db.clock import later, now
from core.db.tables import (
    Attempt,
    Checkpoint,
    DeletedRun,
    Evaluation,
    IdempotencyKey,
    Job,
    JobEvent,
    LogLine,
    MetricChunk,
    ModelVersion,
    Sweep,
)
from core.errors import ConflictError
from core.jobs.mirror.run_hierarchy import trial_of
from core.jobs.queries import get
from core.tracking import JOB_TAG

FOLDERS = ("checkpoints", "models", "predictions")
"""Folders of the store with files of jobs: `models/<job id>/<attempt>/<name>`."""

_MOST_NAMED = 5
_MIRROR_SECONDS = 300.0
"""A mirror that began before the deletion has created the run by then."""


def delete(session: Session, store: Store, job_id: str) -> None:
    """Delete an ended job: its row, history, checkpoints, model and predictions.

    Its run is deleted in MLflow later. Raises NotFoundError, ConflictError for a job that has not
    ended, belongs to a sweep, or is used by others, and UnavailableError if the store does not
    answer; repeating it then deletes what is left.
    """
    job = get(session, job_id, lock=True)
    if not job.status.terminal:
        raise ConflictError(f"job {job.id} is {job.status}: cancel it, then delete it")
    trial = trial_of(session, job.id)
    if trial is not None:
        raise ConflictError(
            f"job {job.id} is trial {trial.number} of sweep {trial.sweep_id}: delete the sweep"
        )
    refuse_used(session, select(Job.id).where(Job.id == job_id))
    erase_all(session, store, [job])


def refuse_used(session: Session, job_ids: Select[str]) -> None:
    """Raise ConflictError that names what else uses the model of one of these jobs."""
    versions = select(ModelVersion).where(ModelVersion.job_id.in_(job_ids)).limit(_MOST_NAMED)
    if rows := list(session.scalars(versions)):
        named = ", ".join(f"{row.model.name}@{row.version}" for row in rows)
        raise ConflictError(f"job {rows[0].job_id} is registered as a model: {named}")
    users = (
        select(Job.id, Job.kind, Job.model_job_id)
        .where(Job.model_job_id.in_(job_ids), Job.id.not_in(job_ids))
        .limit(_MOST_NAMED)
    )
    if using := session.execute(users).all():
        named = ", ".join(f"{row.id} ({row.kind.value})" for row in using)
        raise ConflictError(
            f"the model of job {using[0].model_job_id} is used by other jobs: delete them first: "
            f"{named}"
        )


def erase_all(session: Session, store: Store, jobs: Sequence[Job]) -> None:
    """Delete ended jobs that nothing refers to. Raises UnavailableError."""
    job_ids = [job.id for job in jobs]
    for key in _files(session, store, jobs):
        store.delete(key)
    for job in jobs:
        record_deletion(session, job, JOB_TAG)
    session.execute(
        delete_from(Evaluation).where(
            or_(Evaluation.job_id.in_(job_ids), Evaluation.evaluated_by.in_(job_ids))
        )
    )
    for table in (MetricChunk, JobEvent, LogLine, Checkpoint, Attempt):
        session.execute(delete_from(table).where(table.job_id.in_(job_ids)))
    session.execute(delete_from(IdempotencyKey).where(IdempotencyKey.resource_id.in_(job_ids)))
    session.execute(
        delete_from(Job)
        .where(Job.id.in_(job_ids), Job.status.in_(TERMINAL))
        .execution_options(synchronize_session=False)
    )
    for job in jobs:
        session.expunge(job)


def _files(session: Session, store: Store, jobs: Sequence[Job]) -> set[str]:
    """The keys of all files of jobs: those that rows name, and what killed attempts left."""
    named = select(Checkpoint.key).where(
        Checkpoint.job_id.in_([job.id for job in jobs]), Checkpoint.erased_at.is_(None)
    )
    keys = set(session.scalars(named))
    for job in jobs:
        result = job.result or {}
        keys |= {result[name] for name in ("model_key", "predictions_key") if result.get(name)}
        keys |= {file.key for name in FOLDERS for file in store.files(f"{name}/{job.id}")}
    return keys


def record_deletion(session: Session, row: Job | Sweep, tag: str) -> None:
    """Have the run of a job or sweep deleted in MLflow, if it has one or may get one.

    `tag` is the one by which MLflow knows the run.
    """
    busy = session.scalar(select(row.mirror_not_before > now()))
    if row.mlflow_run_id is None and row.mirrored_status is None and not busy:
        return
    moment = later(_MIRROR_SECONDS) if busy else now()
    session.add(DeletedRun(id=row.id, tag=tag, run_id=row.mlflow_run_id, not_before=moment))
    session.flush()
