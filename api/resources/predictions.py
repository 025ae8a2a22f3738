"""Predictions as the API returns them."""

from typing import Any

from pydantic import Field

from api.resources.base import Number, Read
from core.data.table.schema import Label


class Interval(Read):
    """A prediction interval; for several targets an object by target name."""

    low: Number | list[Any] | dict[str, Any]
    high: Number | list[Any] | dict[str, Any]


class Predictions(Read):
    """One prediction for each row, in the order of the rows."""

    predictions: list[Label | Number | list[Any] | dict[str, Any]]
    probabilities: list[dict[str, Any]] | None = Field(
        None, description="probability of each label, for each row; only if requested"
    )
    intervals: list[Interval] | None = Field(
        None, description="prediction interval of each row; only if requested"
    )
