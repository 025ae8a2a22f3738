"""Warnings about columns of a dataset version: content that is likely no feature as it is."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class CellExample(BaseModel):
    """A cell: its row, from 1 below the header, and the start of its text."""

    model_config = ConfigDict(frozen=True)

    row: int
    value: str


class ColumnWarning(BaseModel):
    """What is unusual about a column, with some of its cells and what to do.

    Releases add kinds: unknown ones are kept as text.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    kind: Annotated[
        str,
        Field(
            description="numbers_as_text, null_marks, identifier, many_categories, dates or "
            "constant"
        ),
    ]
    message: Annotated[str, Field(description="what the column holds, and what to do")]
    examples: tuple[CellExample, ...] = ()
    named_only: Annotated[
        bool,
        Field(
            description="a job uses the column as a feature only if `data.features` or a step of "
            "`data.prepare` names it"
        ),
    ] = False


def stored_warnings(documents: Iterable[Mapping[str, Any]] | None) -> tuple[ColumnWarning, ...]:
    """The warnings that are kept with a version; none for one of a release without warnings."""
    return tuple(map(ColumnWarning.model_validate, documents or ()))


def named_only(warnings: Iterable[ColumnWarning]) -> dict[str, ColumnWarning]:
    """The first warning of each column that is a feature only if a job names it."""
    first: dict[str, ColumnWarning] = {}
    for warning in warnings:
        if warning.named_only:
            first.setdefault(warning.column, warning)
    return first
