"""Metric points, events and log lines of jobs as the API returns them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from api.resources.base import Number, Read, json_numbers
from chainrule.contract.status import JobStatus
from core.db.types import from_milliseconds
from core.jobs import Point


class MetricPoint(Read):
    """The value of one metric at one step."""

    key: Annotated[str, Field(examples=["train/loss"])]
    step: int
    epoch: int
    value: Number
    at: datetime

    @classmethod
    def of(cls, point: Point) -> Self:
        """A point of a job's history."""
        value, at = json_numbers(point.value), from_milliseconds(point.at_ms)
        return cls(key=point.key, step=point.step, epoch=point.epoch, value=value, at=at)


class MetricPage(Read):
    """Metric points and the cursor of later ones."""

    items: list[MetricPoint]
    next: str | None = Field(
        None,
        description="send it as `cursor` to get later points; null: the job has ended, and these "
        "are its last points",
    )


class JobEvent(Read):
    """An event of a job: what happened, by whom and why."""

    id: int
    at: datetime
    kind: Annotated[str, Field(examples=["submitted"])]
    status: JobStatus
    attempt: int
    actor: Annotated[str, Field(examples=["client:local"])]
    reason: dict[str, Any] | None = None


class LogLine(Read):
    """A message from an attempt."""

    id: int
    at: datetime
    attempt: int
    level: Literal["info", "warning", "error"]
    text: Annotated[str, Field(examples=["the dataset was in this node's cache"])]
