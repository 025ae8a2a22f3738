"""Insights: what a trained network was seen to do with rows it did not learn from."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import JobId
from api.resources.base import Read
from api.resources.evaluations import Confusion
from core import jobs
from core.db.session import reading
from core.errors import NotFoundError

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problems(*ALWAYS))


class HardRow(Read):
    """A row with a large loss."""

    row: Annotated[int, Field(description="counted from 0 in the dataset version")]
    loss: float | str
    truth: Any = None
    answer: Any = None


class Spread(Read):
    """How numbers are spread: counts in equal bins from `low` to `high`."""

    counts: list[int]
    low: float
    high: float
    mean: float
    deviation: float
    zero: Annotated[float, Field(description="share of numbers that are 0")]


class Insights(Read):
    """What a network does with rows it did not learn from."""

    part: Annotated[Literal["valid", "test", "train"], Field(description="whose rows they are")]
    rows: int
    confusion: Annotated[Confusion | None, Field(description="where each row has one class")] = None
    hardest: Annotated[list[HardRow], Field(description="the worst of 1000 rows first")]
    activations: Annotated[dict[str, Spread], Field(description="outputs of each layer")]
    gradients: Annotated[dict[str, Spread], Field(description="of one batch, by weights")]


@router.get("/{job_id}/insights", responses=problems(404, 422))
def read_insights(job_id: JobId, here: Here, _: Owner) -> Insights:
    """Confusion matrix, hardest rows, and how the layers of a finished job are spread.

    404 for a job that has not finished, and for trials that were trained side by side.
    """
    with reading(here.engine) as session:
        found = jobs.get(session, job_id).insights
    if not found:
        raise NotFoundError(f"job {job_id} has no insights: it did not finish, or not alone")
    return Insights.model_validate(found)
