"""What came of a sweep: pictures of it, its study for Optuna, its best model under a name."""

import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, Responses, problems
from api.parameters import SweepId
from api.resources.models import ModelVersion
from core import models, sweeps
from core.db.session import reading, transaction
from core.search.plots import PlotKind

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"], responses=problems(*ALWAYS))

PAGE: Responses = {200: {"content": {"text/html": {}}, "description": "a page that needs no other"}}
STUDY: Responses = {
    200: {"content": {"application/vnd.sqlite3": {}}, "description": "an SQLite file"}
}

ITSELF_ONLY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""The page may run what it brings and fetch nothing."""


class Promotion(BaseModel):
    """Under which name the best trial's model is registered."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=128, examples=["digits"])]
    alias: Annotated[
        str | None, Field(max_length=128, description="which alias then points at it")
    ] = None


@router.get(
    "/{sweep_id}/plots/{kind}",
    response_class=HTMLResponse,
    responses={**problems(404, 409, 422), **PAGE},
)
def read_plot(
    sweep_id: SweepId,
    kind: PlotKind,
    here: Here,
    _: Owner,
    objective: Annotated[int, Query(ge=0, le=7, description="which one, where it is of one")] = 0,
) -> HTMLResponse:
    """An interactive picture. 409 while too few trials have ended for it."""
    with reading(here.engine) as session:
        found = sweeps.read_results(session, sweep_id, curves=kind == "learning_curves")
    page = found.plot(kind, objective)
    return HTMLResponse(page, headers={"Content-Security-Policy": ITSELF_ONLY})


@router.get(
    "/{sweep_id}/optuna", response_class=Response, responses={**problems(404, 422), **STUDY}
)
def read_study(sweep_id: SweepId, here: Here, _: Owner) -> Response:
    """All trials as an Optuna storage, for Optuna Dashboard and `optuna.load_study`."""
    with reading(here.engine) as session:
        found = sweeps.read_results(session, sweep_id, curves=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.db"
        found.export(path)
        content = path.read_bytes()
    name = f"attachment; filename={sweep_id[:8]}.db"
    return Response(
        content, media_type="application/vnd.sqlite3", headers={"Content-Disposition": name}
    )


@router.post("/{sweep_id}/promote", responses=problems(403, 404, 409, 413, 415, 422))
def promote_best(sweep_id: SweepId, asked: Promotion, here: Here, owner: Owner) -> ModelVersion:
    """Register the best trial's model, the first of a front. 409 while none has finished."""
    with transaction(here.engine) as session:
        row = sweeps.register_best(session, sweep_id, asked.name, owner=owner, alias=asked.alias)
        # Its bytes may have been erased; while the row is locked they are not.
        here.store.size(models.file_of(row.job).key)
        return ModelVersion.of(row)
