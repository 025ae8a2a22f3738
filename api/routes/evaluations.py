"""Evaluations of models on dataset versions."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.http.strict_body import Exact
from api.parameters import JobId, ModelReference, Paging
from api.resources.evaluations import Evaluation
from api.resources.jobs import Job
from api.resources.pages import Page, page
from api.submission import Submitting
from core import models
from core.db.session import reading
from core.spec.inference import EvaluationSpec

router = APIRouter(prefix="/v1", tags=["models"], responses=problems(*ALWAYS))


@router.post(
    "/models/{reference}/evaluations",
    status_code=202,
    responses=problems(403, 404, 409, 413, 415, 422),
)
def evaluate_model(
    reference: ModelReference, spec: Exact[EvaluationSpec], submission: Submitting
) -> Job:
    """Queue a job that evaluates a registered model on a dataset version.

    It computes the metrics of the model's job and the standard metrics of its task. If the same
    evaluation was requested before, that job is returned.
    """
    return submission.inference_with_model(spec, reference)


@router.post(
    "/jobs/{job_id}/evaluations", status_code=202, responses=problems(403, 404, 409, 413, 415, 422)
)
def evaluate_job(job_id: JobId, spec: Exact[EvaluationSpec], submission: Submitting) -> Job:
    """Queue a job that evaluates the model of a finished job."""
    return submission.inference_with_job(spec, job_id)


@router.get("/jobs/{job_id}/evaluation", responses=problems(404, 409, 422))
def read_evaluation(job_id: JobId, here: Here, _: Owner) -> Evaluation:
    """Return the result of an evaluation job. Returns 409 until the job has finished."""
    with reading(here.engine) as session:
        return Evaluation.of(models.evaluation_by(session, job_id))


@router.get("/models/{reference}/evaluations", responses=problems(404, 422))
def list_evaluations(
    reference: ModelReference, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[Evaluation]:
    """List the evaluations of a version (`name@3`) or of all versions (`name`), newest first."""
    before = paging.number()
    with reading(here.engine) as session:
        if "@" in reference:
            job_ids = [models.resolve(session, reference).job_id]
        else:
            versions = models.list_versions(session, reference, limit=1000)
            job_ids = [version.job_id for version in versions]
        rows = models.evaluations(session, job_ids, before=before, limit=paging.limit + 1)
        return page(rows, paging.limit, Evaluation.of, lambda row: row.id)
