"""The metric history of a job."""

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


class Wanted(BaseModel):
    """Which points to return."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[list[str], Field(max_length=1000, description="metrics; by default all")] = []
    cursor: (
        Annotated[int, Field(ge=0, lt=2**63, description="`next` of an earlier answer")] | None
    ) = None


@router.get("/{job_id}/metrics", responses=problems(404, 422))
def read_metrics(
    job_id: JobId, wanted: Annotated[Wanted, Query()], here: Here, _: Owner
) -> MetricPage:
    """Points of the job's metrics, metric by metric, by step.

    While the job lives, ask again with `next` as `cursor` for what was written since.
    """
    with reading(here.engine) as session:
        # The state first: all that an ended job wrote is there for the second statement.
        ended = jobs.get(session, job_id).status.terminal
        history = jobs.metrics(session, job_id, wanted.key or None, wanted.cursor)
    items = [MetricPoint.of(point) for point in history.points()]
    return MetricPage(items=items, next=None if ended else str(history.cursor))
