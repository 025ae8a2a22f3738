"""Experiments: named groups of jobs."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Paging
from api.resources.experiments import Experiment
from api.resources.pages import Page, page
from core.db.session import reading
from core.jobs.listing import list_experiments

router = APIRouter(prefix="/v1/experiments", tags=["experiments"], responses=problems(*ALWAYS))


@router.get("", responses=problems(422))
def list_all_experiments(
    paging: Annotated[Paging, Query()], here: Here, _: Owner
) -> Page[Experiment]:
    """List experiments by name."""
    with reading(here.engine) as session:
        rows = list_experiments(session, after=paging.cursor, limit=paging.limit + 1)
        return page(
            rows, paging.limit, lambda row: Experiment.of(row, here.settings), lambda row: row.name
        )
