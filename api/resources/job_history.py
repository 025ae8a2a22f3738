"""What a job recorded over time: metric points, events and log lines."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from api.resources.base import Number, Read, json_numbers
from core.db import tables
from core.db.types import from_milliseconds
from core.jobs import Point
from core.status import JobStatus


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
        return cls(
            key=point.key,
            step=point.step,
            epoch=point.epoch,
            value=json_numbers(point.value),
            at=from_milliseconds(point.at_ms),
        )


class MetricPage(Read):
    """Metric points, and from where to go on."""

    items: list[MetricPoint]
    next: str | None = Field(
        None, description="give it as `cursor` for what comes later; null: the job has ended"
    )


class JobEvent(Read):
    """One change of a job: what happened, who did it and why."""

    id: int
    at: datetime
    kind: Annotated[str, Field(examples=["submitted"])]
    status: JobStatus
    attempt: int
    actor: Annotated[str, Field(examples=["client:local"])]
    reason: dict[str, Any] | None = None

    @classmethod
    def of(cls, row: tables.JobEvent) -> Self:
        """The event in a row."""
        return cls(
            id=row.id,
            at=row.at,
            kind=row.kind,
            status=JobStatus(row.status),
            attempt=row.attempt,
            actor=row.actor,
            reason=row.reason,
        )


class LogLine(Read):
    """Something an attempt said for people to read."""

    id: int
    at: datetime
    attempt: int
    level: Literal["info", "warning", "error"]
    text: Annotated[str, Field(examples=["the dataset was in this node's cache"])]

    @classmethod
    def of(cls, row: tables.LogLine) -> Self:
        """The line in a row."""
        return cls.model_validate(row, from_attributes=True)
