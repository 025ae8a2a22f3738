"""Predictions of trained models for rows in the request."""

import math
from collections.abc import Callable
from typing import Annotated

import anyio
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy.orm import Session

from api.auth import Owner
from api.context import Context, Here
from api.http.openapi import ALWAYS, problems
from api.parameters import JobId, ModelReference
from api.resources.base import json_numbers
from api.resources.predictions import Predictions
from api.upload.body import filename, received
from core import jobs
from core.data.ingest.formats import typed, with_text
from core.data.ingest.parser import parse
from core.data.table.reader import load
from core.db.session import reading
from core.errors import FieldError, InvalidError
from core.models import job_of, locate
from core.nn.array import Array
from core.spec.inference import Level
from core.training.model import TrainedModel

router = APIRouter(prefix="/v1", tags=["jobs"], responses=problems(*ALWAYS))

MAX_BODY_BYTES = 32 * 2**20
MAX_ROWS = 10_000
MAX_WORK = 2**37
"""Multiplications of one request: some ten seconds of a core."""
MAX_NUMBERS = 2**26
"""Features of all rows, or outputs of all rows, which are in memory at once."""
MAX_ANSWERS = 2**21
"""Numbers in a response."""
FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "minLength": 1}, "example": "p0,p1\n1,2.5\n"},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

PIXELS: dict[str, JsonValue] = {f"p{row}{column}": 0 for row in range(8) for column in range(8)}
"""A row for the network of the JobSpec example: a blank image of 8x8 pixels."""


class Rows(BaseModel):
    """Rows to predict for, with the raw columns that the job was trained on."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"rows": [PIXELS], "probabilities": True}]}
    )

    rows: Annotated[
        list[dict[str, JsonValue]],
        Field(min_length=1, max_length=MAX_ROWS, examples=[[PIXELS]]),
    ]
    probabilities: bool = Field(
        False, strict=True, description="also return the probability of each label"
    )
    interval: Level | None = None


@router.post(
    "/jobs/{job_id}/predict",
    max_body_size=MAX_BODY_BYTES,
    responses=problems(403, 404, 409, 413, 415, 422),
)
def predict(job_id: JobId, body: Rows, here: Here, _: Owner) -> Predictions:
    """Return a prediction for each row, in order: a label, or a number for regression."""
    with reading(here.engine) as session:
        file = locate(session, job_id)
    return _for_rows(here.models.load(file), body)


@router.post(
    "/models/{reference}/predict",
    tags=["models"],
    max_body_size=MAX_BODY_BYTES,
    responses=problems(403, 404, 409, 413, 415, 422),
)
def predict_with_model(reference: ModelReference, body: Rows, here: Here, _: Owner) -> Predictions:
    """Predict with a registered model: `name@3`, `name@alias`, or the latest version of `name`."""
    with reading(here.engine) as session:
        file = locate(session, job_of(session, reference))
    return _for_rows(here.models.load(file), body)


@router.post(
    "/jobs/{job_id}/predict/file",
    max_body_size=MAX_BODY_BYTES,
    openapi_extra=FILE,
    responses=problems(403, 404, 408, 409, 413, 422),
)
async def predict_for_file_with_job(
    job_id: JobId,
    request: Request,
    here: Here,
    _: Owner,
    probabilities: bool = False,
    interval: Level | None = None,
) -> Predictions:
    """Predict for the rows of a file: CSV, Parquet or another format of uploads.

    Its format follows from `Content-Type`, else from the file name and the first bytes. Columns
    that the model does not use are ignored. CSV is parsed with the parse options of the dataset
    version that the model was trained on, unless parameters of `Content-Type` differ.
    """
    return await _for_file(request, here, lambda _: job_id, probabilities, interval)


@router.post(
    "/models/{reference}/predict/file",
    tags=["models"],
    max_body_size=MAX_BODY_BYTES,
    openapi_extra=FILE,
    responses=problems(403, 404, 408, 409, 413, 422),
)
async def predict_for_file(
    reference: ModelReference,
    request: Request,
    here: Here,
    _: Owner,
    probabilities: bool = False,
    interval: Level | None = None,
) -> Predictions:
    """Predict for a file with a registered model; see the same operation of jobs."""
    return await _for_file(
        request, here, lambda session: job_of(session, reference), probabilities, interval
    )


async def _for_file(
    request: Request,
    here: Context,
    find: Callable[[Session], str],
    probabilities: bool,
    interval: float | None,
) -> Predictions:
    """Parse the body in a confined process, as uploads are, and predict for its rows.

    `find` returns the id of the job whose model predicts.
    """

    def locate_model() -> tuple[TrainedModel, dict[str, str]]:
        with reading(here.engine) as session:
            job = jobs.get(session, find(session))
            file, options = locate(session, job.id), job.dataset_version.parse
        model = here.models.load(file)
        texts = [column.name for column in model.encoding.features if column.text]
        return model, with_text(options or {}, texts)

    model, options = await anyio.to_thread.run_sync(locate_model)
    content_type = typed(request.headers.get("content-type", ""), filename(request))
    async with received(request, here.uploads, MAX_BODY_BYTES) as body:

        def answer() -> Predictions:
            canonical = body.with_name("canonical.arrow")
            table = load(parse(body, content_type, canonical, defaults=options).path)
            _check(model, table.num_rows, probabilities)
            return _predict(model, model.table_to_array(table), probabilities, interval)

        return await anyio.to_thread.run_sync(answer, limiter=here.parsers)


def _for_rows(model: TrainedModel, body: Rows) -> Predictions:
    _check(model, len(body.rows), body.probabilities)
    x = model.rows_to_array(body.rows)
    return _predict(model, x, body.probabilities, body.interval)


def _check(model: TrainedModel, rows: int, probabilities: bool) -> None:
    """Raise InvalidError for more rows than one request may predict with this model."""
    outputs = math.prod(model.network.output_shape)
    answers = outputs if probabilities or model.loss.target == "number" else 1
    limits = {
        "multiplications": (model.network.work_per_row, MAX_WORK),
        "features": (model.width, MAX_NUMBERS),
        "outputs": (outputs, MAX_NUMBERS),
        "numbers in the response": (answers, MAX_ANSWERS),
    }
    for what, (each, most) in limits.items():
        if rows * each > most:
            message = (
                f"{rows:,} rows take {rows * each:,} {what} with this model, and {most:,} are "
                f"allowed: send at most {most // each:,} rows, or score a dataset version"
            )
            raise InvalidError(message, [FieldError("rows", message)])


def _predict(
    model: TrainedModel, x: Array, probabilities: bool, interval: float | None
) -> Predictions:
    outputs = model.outputs(x)
    return Predictions(
        predictions=json_numbers(model.answers(outputs)),
        probabilities=json_numbers(model.class_probabilities(outputs)) if probabilities else None,
        intervals=None if interval is None else json_numbers(model.intervals(outputs, interval)),
    )
