"""Queue a job that uses a trained model, whoever names the model: by its name or its job."""

from sqlalchemy.orm import Session

from api.resources.jobs import Job
from api.submission import Asking, version
from core import jobs, models
from core.data.table.schema import DatasetSchema
from core.db import tables
from core.db.session import reading
from core.spec import JobSpec
from core.spec.inference import Inference, check


def with_model(asking: Asking, spec: Inference, reference: str) -> Job:
    """Queue it for a registered model. Raises as `with_job` does."""
    with reading(asking.here.engine) as session:
        found = models.resolve(session, reference)
        trained_id, name = found.job_id, f"{found.model.name}@{found.version}"
    return _queue(asking, spec, trained_id, name)


def with_job(asking: Asking, spec: Inference, job_id: str) -> Job:
    """Queue it for a finished job's model, or give the job that did or does the very same.

    Raises NotFoundError for a job that is not there, ConflictError for one without a model,
    InvalidError naming what does not fit.
    """
    return _queue(asking, spec, job_id, f"job {job_id[:8]}")


def _queue(asking: Asking, spec: Inference, trained_id: str, name: str) -> Job:
    settings = asking.here.settings

    def make(session: Session, request_hash: str) -> tables.Job:
        # Locked: whoever erases models that nobody needs must see this job or wait.
        trained = jobs.get(session, trained_id, lock=True)
        models.file_of(trained)
        data = version(session, spec.dataset)
        check(
            spec,
            JobSpec.model_validate(trained.spec),
            DatasetSchema.model_validate(trained.dataset_version.schema),
            DatasetSchema.model_validate(data.schema),
        )
        return jobs.infer(
            session,
            spec,
            trained,
            data,
            owner=asking.owner,
            model=name,
            idempotency_key=asking.idempotency_key,
            request_hash=request_hash,
            max_attempts=settings.max_attempts,
            max_queued=settings.max_queued_jobs,
        )

    return asking.queue({"model_job_id": trained_id, **spec.model_dump(mode="json")}, make)
