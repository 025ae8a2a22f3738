"""Predictions as the API returns them."""

from typing import Any

from pydantic import Field

from api.resources.base import Number, Read
from core.data.table.schema import Label


class Interval(Read):
    """Between which values the truth is; several targets by their names."""

    low: Number | list[Any] | dict[str, Any]
    high: Number | list[Any] | dict[str, Any]


class Predictions(Read):
    """One prediction a row, in the order of the rows."""

    predictions: list[Label | Number | list[Any] | dict[str, Any]]
    probabilities: list[dict[str, Any]] | None = Field(
        None, description="for each row the probability of each label; only when asked for"
    )
    intervals: list[Interval] | None = Field(
        None, description="for each row its interval; only when asked for"
    )
