"""MLflow: rebuild its contents from the database."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.resources.base import Read
from core import jobs, models, sweeps
from core.db.session import transaction
from core.errors import ConflictError

router = APIRouter(prefix="/v1/mlflow", tags=["mlflow"], responses=problems(*ALWAYS))

_JOBS = 2000
_PAGE = 100

Cursor = Annotated[
    str | None,
    Query(max_length=32, description="`next` of the previous response; omit it to start"),
]


class Forgotten(Read):
    """How many sweeps and jobs this request scheduled to be mirrored again."""

    sweeps: int
    jobs: int
    next: Annotated[
        str | None, Field(description="send it as `cursor` to continue; null: done")
    ] = None


@router.post("/rebuild", responses=problems(409, 422))
def rebuild_mlflow(here: Here, _: Owner, cursor: Cursor = None) -> Forgotten:
    """Mirror all sweeps, jobs and registered models to MLflow again, page by page.

    Runs that still exist in MLflow are completed, missing runs are created. The request may be
    repeated or abandoned at any page.
    """
    if not here.settings.mlflow_url:
        raise ConflictError("this server has no MLflow: CHAINRULE_MLFLOW_URL is not set")
    many_sweeps = 0
    if cursor is None:
        with transaction(here.engine) as session:
            jobs.forget_experiments(session)
            many_sweeps = sweeps.forget_sweep_runs(session)
            models.forget_models(session)
    after, many_jobs = cursor or "", 0
    # One transaction for each page, so that workers can write in between.
    while many_jobs < _JOBS:
        with transaction(here.engine) as session:
            page = jobs.forget_runs(session, after=after, limit=_PAGE)
        many_jobs += len(page)
        if len(page) < _PAGE:
            return Forgotten(sweeps=many_sweeps, jobs=many_jobs)
        after = page[-1]
    return Forgotten(sweeps=many_sweeps, jobs=many_jobs, next=after)
