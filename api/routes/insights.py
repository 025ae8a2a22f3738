"""Insights into trained networks."""

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

    row: Annotated[int, Field(description="index of the row in the dataset version, from 0")]
    loss: float | str
    truth: Any = None
    answer: Any = None


class Spread(Read):
    """A histogram with bins of equal width from `low` to `high`."""

    counts: list[int]
    low: float
    high: float
    mean: float
    deviation: float
    zero: Annotated[float, Field(description="fraction of values that are 0")]


class Insights(Read):
    """Results of a network on rows that it was not trained on."""

    part: Annotated[
        Literal["valid", "test", "train"], Field(description="part of the data the rows are from")
    ]
    rows: int
    confusion: Annotated[
        Confusion | None, Field(description="null unless each row has one class")
    ] = None
    hardest: Annotated[
        list[HardRow], Field(description="rows with the largest losses among 1,000 rows")
    ]
    activations: Annotated[dict[str, Spread], Field(description="outputs by layer")]
    gradients: Annotated[
        dict[str, Spread], Field(description="gradients of one batch, by weight array")
    ]


@router.get("/{job_id}/insights", responses=problems(404, 422))
def read_insights(job_id: JobId, here: Here, _: Owner) -> Insights:
    """Return the confusion matrix, hardest rows and layer histograms of a finished job.

    Returns 404 for a job that has not finished and for trials that were trained as a stack.
    """
    with reading(here.engine) as session:
        insights = jobs.get(session, job_id).insights
    if not insights:
        raise NotFoundError(
            f"job {job_id} has no insights: it has not finished, or was trained in a stack"
        )
    return Insights.model_validate(insights)
