"""Queue jobs that use the model of another job."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from chainrule.contract.status import JobKind, JobStatus
from core.db.tables import DatasetVersion, Job
from core.errors import ConflictError, NotFoundError
from core.jobs.submission import enter, spec_hash
from core.spec.inference import EvaluationSpec, Inference
from core.spec.version import encode

QUEUE = "cpu"
"""The queue of these jobs: evaluation and scoring compute with NumPy."""

_OF_USE = (JobStatus.QUEUED, JobStatus.PAUSED, JobStatus.RUNNING, JobStatus.FINISHED)
_MOST_NAME = 255


def infer(
    session: Session,
    spec: Inference,
    trained: Job,
    dataset_version: DatasetVersion,
    *,
    owner: str,
    model: str,
    max_attempts: int = 3,
    max_queued: int | None = None,
) -> Job:
    """Queue a job that evaluates or scores with the model of the job `trained`, called `model`.

    It belongs to the experiment of that job. An evaluation that exists or is queued is not
    repeated, because neither model nor data ever change. Raises as `submit` does.
    """
    version = f"{dataset_version.dataset.name}@{dataset_version.version}"
    document, needed = encode(spec.model_copy(update={"dataset": version}))
    job = Job(
        id=uuid.uuid4().hex,
        kind=JobKind.EVALUATE if isinstance(spec, EvaluationSpec) else JobKind.SCORE,
        model_job_id=trained.id,
        owner=owner,
        experiment_id=trained.experiment_id,
        dataset_version_id=dataset_version.id,
        name=spec.name or f"{model} on {version}"[:_MOST_NAME],
        tags=dict(spec.tags),
        spec=document,
        spec_hash=spec_hash(document),
        # The worker also reads the spec of the model.
        spec_version=max(needed, trained.spec_version),
        queue=QUEUE,
        priority=spec.priority,
        max_attempts=spec.max_attempts or max_attempts,
        status=JobStatus.QUEUED,
        attempt=0,
    )
    if job.kind is JobKind.EVALUATE and (earlier := _same(session, job)) is not None:
        return earlier
    return enter(session, job, max_queued=max_queued)


def predictions_of(job: Job) -> str:
    """The key in the store of a scoring job's predictions.

    Raises NotFoundError for another kind of job, ConflictError while there are none.
    """
    if job.kind is not JobKind.SCORE:
        raise NotFoundError(f"job {job.id} is a job to {job.kind}: it has no predictions")
    if job.status is not JobStatus.FINISHED:
        raise ConflictError(f"job {job.id} is {job.status}: it has no predictions yet")
    return str((job.result or {})["predictions_key"])


def _same(session: Session, job: Job) -> Job | None:
    """A job with the same spec, model and data that has not failed."""
    statement = (
        select(Job)
        .where(
            Job.model_job_id == job.model_job_id,
            Job.dataset_version_id == job.dataset_version_id,
            Job.spec_hash == job.spec_hash,
            Job.kind == job.kind,
            Job.status.in_(_OF_USE),
        )
        .order_by(Job.created_at.desc())
        .limit(1)
    )
    return session.scalar(statement)
