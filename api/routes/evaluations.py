"""Evaluations: what a model is worth on a dataset version, and how that changed."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api import registered, schemas
from api.auth import Owner
from api.context import Context, Here
from api.openapi import ALWAYS, problems
from api.pages import page
from api.parameters import JobId, ModelReference, Paging
from core import datasets, models
from core.db.session import reading, transaction

router = APIRouter(prefix="/v1", tags=["models"], responses=problems(*ALWAYS))


class EvaluationSpec(BaseModel):
    """Where to measure."""

    model_config = ConfigDict(extra="forbid")

    dataset: Annotated[str, Field(max_length=300, examples=["pets@1"])]
    slices: Annotated[
        list[Annotated[str, Field(max_length=255)]],
        Field(max_length=10, description="columns; their values are measured one by one"),
    ] = []


@router.post(
    "/models/{reference}/evaluations",
    status_code=201,
    responses=problems(403, 404, 409, 413, 415, 422),
)
def evaluate_model(
    reference: ModelReference, asked: EvaluationSpec, here: Here, owner: Owner
) -> registered.Evaluation:
    """Measure a registered model on a dataset version: its job's metrics and the usual ones.

    What was measured before is not measured again.
    """
    with reading(here.engine) as session:
        job_id = models.resolve(session, reference).job_id
    return _evaluate(here, job_id, asked, owner)


@router.post(
    "/jobs/{job_id}/evaluations", status_code=201, responses=problems(403, 404, 409, 413, 415, 422)
)
def evaluate_job(
    job_id: JobId, asked: EvaluationSpec, here: Here, owner: Owner
) -> registered.Evaluation:
    """Measure a finished job's model on a dataset version."""
    return _evaluate(here, job_id, asked, owner)


@router.get("/models/{reference}/evaluations", responses=problems(404, 422))
def list_evaluations(
    reference: ModelReference, paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> schemas.Page[registered.Evaluation]:
    """Evaluations of a version (`name@3`), or of all versions (`name`), newest first."""
    before = paging.number()
    with reading(here.engine) as session:
        if "@" in reference:
            job_ids = [models.resolve(session, reference).job_id]
        else:
            versions = models.list_versions(session, reference, limit=1000)
            job_ids = [version.job_id for version in versions]
        rows = models.evaluations(session, job_ids, before=before, limit=paging.limit + 1)
        return page(rows, paging.limit, registered.evaluation, lambda row: row.id)


def _evaluate(
    here: Context, job_id: str, asked: EvaluationSpec, owner: str
) -> registered.Evaluation:
    with reading(here.engine) as session:
        file = models.locate(session, job_id)
        version = datasets.resolve(session, asked.dataset)
        wanted = models.Asked(file, version, tuple(dict.fromkeys(asked.slices)))
        before = models.known(session, job_id, wanted)
        if before is not None:
            return registered.evaluation(before)
    found = models.evaluate(here.models, here.store, here.cache, wanted)
    with transaction(here.engine) as session:
        return registered.evaluation(models.record(session, job_id, version, found, owner=owner))
