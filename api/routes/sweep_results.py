"""Results of sweeps: plots, Optuna study, registration of the best model."""

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
from core.search.plot_kinds import PlotKind

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"], responses=problems(*ALWAYS))

PAGE: Responses = {200: {"content": {"text/html": {}}, "description": "a self-contained page"}}
STUDY: Responses = {
    200: {"content": {"application/vnd.sqlite3": {}}, "description": "an SQLite file"}
}

ITSELF_ONLY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""The page may run its own scripts and load nothing else."""


class Promotion(BaseModel):
    """The name under which the model of the best trial is registered."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "digits", "alias": "champion"}]}
    )

    name: Annotated[str, Field(min_length=1, max_length=128, examples=["digits"])]
    alias: Annotated[
        str | None, Field(max_length=128, description="alias to point at the new version")
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
    objective: Annotated[int, Query(ge=0, le=7, description="index of the objective to plot")] = 0,
) -> HTMLResponse:
    """Return an interactive plot. Returns 409 while too few trials have ended."""
    with reading(here.engine) as session:
        results = sweeps.read_results(session, sweep_id, curves=kind == "learning_curves")
    page = results.plot(kind, objective)
    return HTMLResponse(page, headers={"Content-Security-Policy": ITSELF_ONLY})


@router.get(
    "/{sweep_id}/optuna", response_class=Response, responses={**problems(404, 422), **STUDY}
)
def read_study(sweep_id: SweepId, here: Here, _: Owner) -> Response:
    """Return all trials as an Optuna storage, for Optuna Dashboard and `optuna.load_study`."""
    with reading(here.engine) as session:
        results = sweeps.read_results(session, sweep_id, curves=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.db"
        results.export(path)
        content = path.read_bytes()
    name = f"attachment; filename={sweep_id[:8]}.db"
    return Response(
        content, media_type="application/vnd.sqlite3", headers={"Content-Disposition": name}
    )


@router.post("/{sweep_id}/promote", responses=problems(403, 404, 409, 413, 415, 422))
def promote_best(sweep_id: SweepId, body: Promotion, here: Here, owner: Owner) -> ModelVersion:
    """Register the model of the best trial. Returns 409 while no trial has finished."""
    with transaction(here.engine) as session:
        row = sweeps.register_best(session, sweep_id, body.name, owner=owner, alias=body.alias)
        # The file may have been erased; the lock on the row keeps it from being erased now.
        here.store.size(models.file_of(row.job).key)
        return ModelVersion.of(row)
