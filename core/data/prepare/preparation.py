"""Base of preparation steps, declared for columns, fitted to training rows, stored as arrays.

A column during preparation is an array of cells `(rows, *shape)`: floating point numbers, NaN where
a cell is empty, or objects that are text or None.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import InvalidError
from core.family import Family

Cells = NDArray[Any]
Shape = tuple[int, ...]
ColumnName = Annotated[str, Field(min_length=1, max_length=250)]
Columns = Annotated[
    tuple[ColumnName, ...],
    Field(
        description="features it applies to; by default all it fits and no earlier step finished"
    ),
]
"""The columns of a step; empty means all that fit."""


class CellError(InvalidError):
    """A cell that cannot be prepared, with its row from 0."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True)
class Feature:
    """A feature column before a step: the kind of its cells, and their known content."""

    name: str
    shape: Shape = ()
    text: bool = False
    gaps: bool = False
    """Whether some cells are empty."""
    classes: int | None = None
    """The number of distinct values, if few enough to be counted."""
    done: bool = False
    """Whether it is encoded or scaled: only steps that name it apply then."""


@dataclass(frozen=True)
class Learned:
    """What a step learned from one column: arrays by name, and words."""

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    words: tuple[str, ...] = ()


class Preparation(Family, ABC):
    """A preparation step. `apply` depends only on the step, the cells and what was learned."""

    columns: Any
    numbers: ClassVar[bool] = True
    """Whether the step applies to numbers."""
    text: ClassVar[bool] = False
    """Whether the step applies to text."""
    finishes: ClassVar[bool] = False
    """Whether the result is encoded or scaled, and so not standardized by default."""
    learns: ClassVar[bool] = True
    """Whether the step learns from training rows."""

    def fits(self, feature: Feature) -> bool:
        """Whether the step can be applied to such a column."""
        return type(self).text if feature.text else type(self).numbers

    def remedy(self, feature: Feature) -> str:
        """What to write instead for a column that the step does not fit; empty: nothing."""
        return ""

    def objection(self, feature: Feature) -> str | None:
        """Why the known content of a column rules out the step, or None."""
        return None

    def after(self, feature: Feature) -> Feature:
        """The column after the step."""
        return replace(feature, done=feature.done or self.finishes)

    @abstractmethod
    def learn(self, cells: Cells) -> Learned:
        """Learn from training cells. Raises CellError or InvalidError."""

    def learn_blocks(self, blocks: Iterable[Cells]) -> Learned:
        """As `learn`, from cells that arrive in blocks; by default all of them are joined."""
        return self.learn(np.concatenate(list(blocks)))

    @abstractmethod
    def apply(self, cells: Cells, learned: Learned) -> Cells:
        """The prepared cells; the input is not changed. Raises CellError with the row."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator[tuple["Preparation", Cells]]:
        """Steps with cells to learn from, for the tests that every step passes."""


class Encoder(Preparation, ABC):
    """A step that encodes categories as numbers: columns of text, or named columns of numbers."""

    text: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    def fits(self, feature: Feature) -> bool:
        return not feature.shape and (feature.text or bool(self.columns))


def present(cells: Cells) -> Cells:
    """The numbers that are not NaN, as a float64 vector. Raises InvalidError if there is none."""
    flat = cells.reshape(-1)
    numbers: Cells = flat[~np.isnan(flat)].astype(np.float64)
    if not len(numbers):
        raise InvalidError("all training rows are empty")
    return numbers
