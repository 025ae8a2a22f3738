"""The metric history of jobs."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import JobId
from api.resources.job_history import MetricPage, MetricPoint
from core import jobs
from core.db.session import reading

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problems(*ALWAYS))

MAX_POINTS = 100_000


class Selection(BaseModel):
    """The metric points to return."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[
        list[str], Field(max_length=1000, description="names of metrics; empty: all")
    ] = []
    limit: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_POINTS,
            description="about how many points a response has; `next` continues",
        ),
    ] = MAX_POINTS
    cursor: (
        Annotated[int, Field(ge=0, lt=2**63, description="`next` of an earlier response")] | None
    ) = None


@router.get("/{job_id}/metrics", responses=problems(404, 422))
def read_metrics(
    job_id: JobId, selection: Annotated[Selection, Query()], here: Here, _: Owner
) -> MetricPage:
    """Return metric points of a job, ordered by metric and step.

    Repeat the request with `next` as `cursor` to get further and new points, until it is null.
    """
    with reading(here.engine) as session:
        # The status first: if the job has ended, the second statement sees all its points.
        ended = jobs.get(session, job_id).status.terminal
        history = jobs.metrics(
            session, job_id, selection.key or None, selection.cursor, selection.limit
        )
    items = [MetricPoint.of(point) for point in history.points()]
    complete = ended and not history.more
    return MetricPage(items=items, next=None if complete else str(history.cursor))
