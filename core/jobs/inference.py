"""Queue jobs that use a model which another job trained."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db import idempotency
from core.db.tables import DatasetVersion, Job
from core.errors import ConflictError, NotFoundError
from core.jobs.submission import enter, spec_hash
from core.spec.inference import EvaluationSpec, Inference
from core.spec.version import encode
from core.status import JobKind, JobStatus

QUEUE = "cpu"
"""Where they wait: a model that is only used is computed with NumPy."""

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
    idempotency_key: str | None = None,
    request_hash: str = "",
    max_attempts: int = 3,
    max_queued: int | None = None,
) -> Job:
    """Queue a job that does what `spec` asks with the model of the job `trained`, called `model`.

    It belongs to the experiment of that job. An evaluation that was made, or is about to be, is
    not made again: neither model nor data ever change. Keys and errors are those of `submit`.
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
        # The worker reads the spec of the model, too.
        spec_version=max(needed, trained.spec_version),
        queue=QUEUE,
        priority=spec.priority,
        max_attempts=spec.max_attempts or max_attempts,
        status=JobStatus.QUEUED,
        attempt=0,
    )
    if job.kind is JobKind.EVALUATE and (earlier := _same(session, job)) is not None:
        if idempotency_key is not None:
            idempotency.reserve(
                session, owner, idempotency_key, request_hash=request_hash, resource_id=earlier.id
            )
        return earlier
    return enter(
        session,
        job,
        idempotency_key=idempotency_key,
        request_hash=request_hash,
        max_queued=max_queued,
    )


def predictions_of(job: Job) -> str:
    """Where in the store the answers lie that a scoring job left.

    Raises NotFoundError for another kind of job, ConflictError while there are none.
    """
    if job.kind is not JobKind.SCORE:
        raise NotFoundError(f"job {job.id} is one to {job.kind}: it leaves no file of predictions")
    if job.status is not JobStatus.FINISHED:
        raise ConflictError(f"job {job.id} is {job.status}: it has left no predictions")
    return str((job.result or {})["predictions_key"])


def _same(session: Session, job: Job) -> Job | None:
    """A job that asks the very same of the same model, and did not end in vain."""
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
