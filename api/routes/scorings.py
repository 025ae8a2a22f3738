"""Scoring: predictions of a model for all rows of a dataset version, as a file."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.http.strict_body import Exact
from api.parameters import JobId, ModelReference
from api.resources.jobs import Job
from api.submission import Submitting
from core import jobs
from core.data.table.export import MEDIA_TYPES, FileKind
from core.db.session import reading
from core.spec.inference import ScoringSpec

router = APIRouter(prefix="/v1", tags=["models"], responses=problems(*ALWAYS))

KINDS: tuple[FileKind, ...] = ("parquet", "csv")
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the file",
        "content": {
            MEDIA_TYPES[kind]: {"schema": {"type": "string", "format": "binary"}} for kind in KINDS
        },
    }
}


@router.post(
    "/models/{reference}/score", status_code=202, responses=problems(403, 404, 409, 413, 415, 422)
)
def score_with_model(
    reference: ModelReference, spec: Exact[ScoringSpec], submission: Submitting
) -> Job:
    """Queue a job that predicts with a registered model for all rows of a dataset version.

    When the job has finished, the file is at `/v1/jobs/{job_id}/predictions`.
    """
    return submission.inference_with_model(spec, reference)


@router.post(
    "/jobs/{job_id}/score", status_code=202, responses=problems(403, 404, 409, 413, 415, 422)
)
def score_with_job(job_id: JobId, spec: Exact[ScoringSpec], submission: Submitting) -> Job:
    """Queue a job that predicts with the model of a finished job."""
    return submission.inference_with_job(spec, job_id)


@router.get(
    "/jobs/{job_id}/predictions",
    response_class=FileResponse,
    responses={**FILE, **problems(404, 409, 422)},
)
def read_predictions(job_id: JobId, here: Here, _: Owner) -> FileResponse:
    """Return the predictions of a scoring job: 409 until it has finished, 404 once erased."""
    with reading(here.engine) as session:
        key = jobs.predictions_of(jobs.get(session, job_id))
    kind: FileKind = "csv" if key.endswith(".csv") else "parquet"
    here.uploads.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="upload-", dir=here.uploads))
    try:
        path = folder / f"predictions-{job_id[:8]}.{kind}"
        here.store.get_file(key, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[kind],
        filename=path.name,
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )
