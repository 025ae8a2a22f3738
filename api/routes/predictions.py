"""Predictions: rows in, answers of the trained network out."""

from pathlib import Path
from typing import Annotated

import anyio
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api import schemas, views
from api.auth import Owner
from api.context import Context, Here
from api.openapi import ALWAYS, problems
from api.parameters import JobId, ModelReference
from api.uploads import received
from core.data.columns import load
from core.data.intake import parse
from core.db.session import reading
from core.models import ModelFile, file_of, locate, resolve

router = APIRouter(prefix="/v1", tags=["jobs"], responses=problems(*ALWAYS))

MAX_BODY_BYTES = 32 * 2**20
MAX_ROWS = 10_000
FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "minLength": 1}, "example": "p0,p1\n1,2.5\n"},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

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
    "/jobs/{job_id}/predict",
    max_body_size=MAX_BODY_BYTES,
    responses=problems(403, 404, 409, 413, 415, 422),
)
def predict(job_id: JobId, asked: Rows, here: Here, _: Owner) -> schemas.Predictions:
    """Labels as in the data, or numbers for regression; one a row, in order."""
    with reading(here.engine) as session:
        file = locate(session, job_id)
    return _predictions(here, file, asked)


@router.post(
    "/models/{reference}/predict",
    tags=["models"],
    max_body_size=MAX_BODY_BYTES,
    responses=problems(403, 404, 409, 413, 415, 422),
)
def predict_with_model(
    reference: ModelReference, asked: Rows, here: Here, _: Owner
) -> schemas.Predictions:
    """The same by a registered model: `name@3`, `name@alias`, or the latest version of `name`."""
    with reading(here.engine) as session:
        file = file_of(resolve(session, reference).job)
    return _predictions(here, file, asked)


@router.post(
    "/models/{reference}/predict/file",
    tags=["models"],
    max_body_size=MAX_BODY_BYTES,
    openapi_extra=FILE,
    responses=problems(403, 404, 408, 409, 413, 422),
)
async def predict_for_file(
    reference: ModelReference, request: Request, here: Here, _: Owner, probabilities: bool = False
) -> schemas.Predictions:
    """The same for the rows of a CSV or Parquet file, whose type `Content-Type` says.

    Columns that the model does not know are passed over.
    """
    file = await anyio.to_thread.run_sync(_file, here, reference)
    content_type = request.headers.get("content-type", "")
    async with received(request, here.uploads, MAX_BODY_BYTES) as body:
        return await anyio.to_thread.run_sync(
            _for_table, here, file, content_type, body, probabilities, limiter=here.parsers
        )


def _file(here: Context, reference: str) -> ModelFile:
    with reading(here.engine) as session:
        return file_of(resolve(session, reference).job)


def _for_table(
    here: Context, file: ModelFile, content_type: str, body: Path, probabilities: bool
) -> schemas.Predictions:
    """Parse in a process of its own, as uploads are, and answer."""
    model = here.models.load(file)
    parsed = parse(body, content_type, body.with_name("canonical.arrow"))
    outputs = model.outputs(model.table_to_array(load(parsed.path)))
    return schemas.Predictions(
        predictions=views.words(model.answers(outputs)),
        probabilities=views.words(model.chances(outputs)) if probabilities else None,
    )


def _predictions(here: Context, file: ModelFile, asked: Rows) -> schemas.Predictions:
    model = here.models.load(file)
    outputs = model.outputs(model.rows_to_array(asked.rows))
    return schemas.Predictions(
        predictions=views.words(model.answers(outputs)),
        probabilities=views.words(model.chances(outputs)) if asked.probabilities else None,
    )
