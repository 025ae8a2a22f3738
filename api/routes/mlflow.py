"""MLflow: have all that it shows made anew from the database."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.resources.base import Read
from core import jobs, sweeps
from core.db.session import transaction
from core.errors import ConflictError

router = APIRouter(prefix="/v1/mlflow", tags=["mlflow"], responses=problems(*ALWAYS))

_JOBS = 2000
_PAGE = 100

Cursor = Annotated[
    str | None, Query(max_length=32, description="`next` of the answer before; not given: begin")
]


class Forgotten(Read):
    """Of how many the runs were forgotten by this request."""

    sweeps: int
    jobs: int
    next: Annotated[
        str | None, Field(description="send it as `cursor` to go on; null: that was all")
    ] = None


@router.post("/rebuild", responses=problems(409, 422))
def rebuild_mlflow(here: Here, _: Owner, cursor: Cursor = None) -> Forgotten:
    """Forget what MLflow was told, part by part: the mirror then tells it all of it anew.

    Runs that MLflow still has are found and completed; what it lost gets a new run. Doing so twice,
    or breaking off, does no harm.
    """
    if not here.settings.mlflow_url:
        raise ConflictError("this server mirrors to no MLflow: CHAINRULE_MLFLOW_URL is not set")
    many_sweeps = 0
    if cursor is None:
        with transaction(here.engine) as session:
            jobs.forget_experiments(session)
            many_sweeps = sweeps.forget_sweep_runs(session)
    after, many_jobs = cursor or "", 0
    # Page by page: workers write in between.
    while many_jobs < _JOBS:
        with transaction(here.engine) as session:
            page = jobs.forget_runs(session, after=after, limit=_PAGE)
        many_jobs += len(page)
        if len(page) < _PAGE:
            return Forgotten(sweeps=many_sweeps, jobs=many_jobs)
        after = page[-1]
    return Forgotten(sweeps=many_sweeps, jobs=many_jobs, next=after)
