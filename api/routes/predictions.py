"""Predictions: rows in, answers of the trained network out."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api import schemas, views
from api.auth import Owner
from api.context import Here
from api.openapi import ALWAYS, problems
from api.parameters import JobId
from core.db.session import reading
from core.models import locate

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problems(*ALWAYS))

MAX_BODY_BYTES = 32 * 2**20
MAX_ROWS = 10_000

PIXELS = {f"p{row}{column}": 0 for row in range(8) for column in range(8)}
"""A row for the network of the JobSpec example: a blank 8x8 picture."""


class Rows(BaseModel):
    """Rows to predict for, with the raw columns the job was trained on."""

    model_config = ConfigDict(extra="forbid")

    rows: Annotated[
        list[dict[str, JsonValue]],
        Field(min_length=1, max_length=MAX_ROWS, examples=[[PIXELS]]),
    ]
    probabilities: bool = Field(
        False, strict=True, description="also return the probability of each label"
    )


@router.post(
    "/{job_id}/predict",
    max_body_size=MAX_BODY_BYTES,
    responses=problems(403, 404, 409, 413, 415, 422),
)
def predict(job_id: JobId, asked: Rows, here: Here, _: Owner) -> schemas.Predictions:
    """Labels as in the data, or numbers for regression; one a row, in order."""
    with reading(here.engine) as session:
        file = locate(session, job_id)
    model = here.models.load(file)
    return schemas.Predictions(
        predictions=views.words(model.predict(asked.rows)),
        probabilities=views.words(model.predict_proba(asked.rows)) if asked.probabilities else None,
    )
