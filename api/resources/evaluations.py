"""Evaluations of models as the API returns them."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from api.resources.base import Metrics, Read, json_numbers
from core.data.table.schema import Label
from core.db import tables


class Confusion(Read):
    """A confusion matrix."""

    labels: list[Any]
    counts: Annotated[list[list[int]], Field(description="by true class, then by prediction")]


class Slice(Read):
    """Metrics of the rows in which `column` has the value `value`."""

    column: str
    value: Label
    rows: int
    metrics: Metrics


class Evaluation(Read):
    """Metrics of a model on a dataset version."""

    id: int
    job_id: Annotated[str, Field(description="the job that trained the model")]
    evaluated_by: Annotated[str | None, Field(description="the job that evaluated it")]
    dataset: Annotated[str, Field(examples=["digits@1"])]
    rows: int
    metrics: Metrics
    slices: list[Slice]
    confusion: Confusion | None = Field(description="null unless each row has one of few classes")
    owner: str
    created_at: datetime

    @classmethod
    def of(cls, row: tables.Evaluation) -> Self:
        """The evaluation in a row."""
        data = row.dataset_version
        return cls.from_row(
            row, dataset=f"{data.dataset.name}@{data.version}", metrics=json_numbers(row.metrics)
        )
