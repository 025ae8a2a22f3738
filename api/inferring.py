"""Queue a job that uses a trained model, whoever names the model: by its name or its job."""

from fastapi import Response

from api import schemas, views
from api.context import Context
from core import datasets, jobs, models
from core.data.schema import DatasetSchema
from core.db.session import reading, transaction
from core.errors import FieldError, InvalidError, NotFoundError
from core.spec import JobSpec
from core.spec.inference import Inference, check


def named(here: Context, reference: str) -> tuple[str, str]:
    """The job that trained a registered model, and its name with its version."""
    with reading(here.engine) as session:
        found = models.resolve(session, reference)
        return found.job_id, f"{found.model.name}@{found.version}"


def submit(
    here: Context,
    spec: Inference,
    trained_id: str,
    model: str,
    *,
    owner: str,
    response: Response,
    idempotency_key: str | None,
) -> schemas.Job:
    """Queue it, or give the job that did or does the very same; the answer says where it is.

    Raises NotFoundError for a job that is not there, ConflictError for one without a model,
    InvalidError naming what does not fit.
    """
    asked = {"model_job_id": trained_id, **spec.model_dump(mode="json")}
    request_hash = jobs.spec_hash(asked)
    with transaction(here.engine) as session:
        # Locked: whoever erases models that nobody needs must see this job or wait.
        trained = jobs.get(session, trained_id, lock=True)
        models.file_of(trained)
        try:
            version = datasets.resolve(session, spec.dataset)
        except NotFoundError as error:
            wrong = [FieldError("dataset", error.detail)]
            raise InvalidError(f"dataset: {error.detail}", wrong) from error
        learned = DatasetSchema.model_validate(trained.dataset_version.schema)
        data = DatasetSchema.model_validate(version.schema)
        check(spec, JobSpec.model_validate(trained.spec), learned, data)
        row = jobs.infer(
            session,
            spec,
            trained,
            version,
            owner=owner,
            model=model,
            idempotency_key=idempotency_key,
            request_hash=request_hash,
            max_attempts=here.settings.max_attempts,
            max_queued=here.settings.max_queued_jobs,
        )
        rung = jobs.may_ring(session, row)
        job = views.job(row, jobs.attempts(session, row.id), here.settings)
    if rung:
        here.doorbell.ring(job.id, job.device)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job
