"""What a step of preparation is: declared for columns, learned from training rows, kept as arrays.

A column on its way is an array of cells `(rows, *shape)`: floating point numbers, NaN where a
cell is empty, or objects that are text or None.
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
"""The columns of a step; empty: all that fit."""


class CellError(InvalidError):
    """A cell that cannot be prepared: its row (from 0) and why."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True)
class Feature:
    """A feature column as it is before a step: what one cell is, and what was seen in it."""

    name: str
    shape: Shape = ()
    text: bool = False
    gaps: bool = False
    """Some cells are empty."""
    classes: int | None = None
    """How many distinct values there are, when they are few enough to be counted."""
    done: bool = False
    """Encoded or scaled: nothing more is done to it unless a step names it."""


@dataclass(frozen=True)
class Learned:
    """What a step learned of one column: arrays by name, and text where there is any."""

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    words: tuple[str, ...] = ()


class Preparation(Family, ABC):
    """A step of preparation. `apply` needs nothing but the step, the cells and what was learned."""

    columns: Any
    numbers: ClassVar[bool] = True
    """Takes columns of numbers."""
    text: ClassVar[bool] = False
    """Takes columns of text."""
    finishes: ClassVar[bool] = False
    """What comes out is encoded or scaled, and is not standardised by default."""
    learns: ClassVar[bool] = True
    """Needs to see the training rows."""

    def fits(self, feature: Feature) -> bool:
        """Whether the step can be applied to such a column."""
        return type(self).text if feature.text else type(self).numbers

    def objection(self, feature: Feature) -> str | None:
        """Why what is known of a column's content forbids the step, or None."""
        return None

    def after(self, feature: Feature) -> Feature:
        """The column as the step leaves it."""
        return replace(feature, done=feature.done or self.finishes)

    @abstractmethod
    def learn(self, cells: Cells) -> Learned:
        """What the training rows teach. Raises CellError or InvalidError."""

    def learn_blocks(self, blocks: Iterable[Cells]) -> Learned:
        """As `learn`, of cells that come some at a time; by default all of them are kept."""
        return self.learn(np.concatenate(list(blocks)))

    @abstractmethod
    def apply(self, cells: Cells, learned: Learned) -> Cells:
        """The cells prepared; the input is left alone. Raises CellError naming the row."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator[tuple["Preparation", Cells]]:
        """Steps and cells they can learn from, for tests that every step must pass."""


class Encoder(Preparation, ABC):
    """A step that makes numbers of categories: text by default, numbers where they are named."""

    text: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    def fits(self, feature: Feature) -> bool:
        return not feature.shape and (feature.text or bool(self.columns))


def present(cells: Cells) -> Cells:
    """The numbers that are there, as float64 in one row. Raises InvalidError when there is none."""
    flat = cells.reshape(-1)
    found: Cells = flat[~np.isnan(flat)].astype(np.float64)
    if not len(found):
        raise InvalidError("all training rows are empty")
    return found
