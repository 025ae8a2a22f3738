"""Features that are read and prepared when somebody asks for them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.prepare import cells
from core.data.prepare.pipeline import ColumnCellError, Pipeline
from core.data.prepare.preparation import Cells
from core.data.prepare.standardizer import Standardizer
from core.data.table import columns
from core.data.table.reader import Stretches
from core.errors import InvalidError

Floats = NDArray[np.floating[Any]]
LEARN_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Prepared:
    """The features of the rows `numbers` (which ascend) of a stored version, prepared.

    `prepared[a:b]` reads rows `a` to `b` of them as one array `(rows, *shape)`.
    """

    stretches: Stretches
    numbers: NDArray[np.int64]
    names: tuple[str, ...]
    dtype: np.dtype[Any]
    pipeline: Pipeline = field(default_factory=Pipeline)
    standardizer: Standardizer | None = None
    row_shape: tuple[int, ...] = ()
    kept: bool = False
    """Whether they stay in memory once they were read."""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array of them."""
        return (len(self), *self.row_shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of one prepared row."""
        return int(np.prod(self.row_shape)) * self.dtype.itemsize

    def __getitem__(self, rows: slice) -> Floats:
        """Raises InvalidError naming column and row of what cannot be used."""
        if self.kept:
            return self._all[rows]
        chosen = self.numbers[rows]
        if not len(chosen):
            return np.empty((0, *self.row_shape), self.dtype)
        table = self.stretches.rows(chosen, self.names)
        try:
            x = self._laid(table)
        except ColumnCellError as error:
            row = int(chosen[error.row]) + 1
            message = f"column {error.column!r}, row {row}: {error.detail}"
            raise InvalidError(message) from None
        except InvalidError as error:
            raise elsewhere(error, int(chosen[0])) from None
        return x if self.standardizer is None else self.standardizer.apply(x)

    def of(self, numbers: NDArray[np.int64], *, kept: bool = False) -> "Prepared":
        """The features of other rows, prepared in the same way."""
        return replace(self, numbers=numbers, kept=kept)

    def want(self, places: NDArray[np.int64]) -> None:
        """Say that these of the rows are needed next, for a version that is still arriving."""
        self.stretches.want(self.numbers[places])

    def blocks(self) -> Iterator[Floats]:
        """All of them, some at a time."""
        for rows in self._some():
            yield self[rows]

    def column(self, name: str) -> Iterator[Cells]:
        """The raw cells of a column, some at a time."""
        for rows in self._some():
            chosen = self.numbers[rows]
            try:
                yield cells.read(self.stretches.rows(chosen, [name]), name, self.dtype)
            except InvalidError as error:
                raise elsewhere(error, int(chosen[0])) from None

    @cached_property
    def _all(self) -> Floats:
        """In memory from the first time on that somebody asks."""
        return replace(self, kept=False)[0 : len(self)]

    def _some(self) -> Iterator[slice]:
        """Slices of rows, as many as take little memory; the same on every machine."""
        widths = [columns.field(self.stretches.schema.empty_table(), n).type for n in self.names]
        wide = sum(kind.list_size if pa.types.is_fixed_size_list(kind) else 1 for kind in widths)
        step = max(1, LEARN_BYTES // (wide * 8))
        for start in range(0, len(self), step):
            yield slice(start, min(start + step, len(self)))

    def _laid(self, table: pa.Table) -> Floats:
        if not self.pipeline.steps:
            return columns.features(table, self.names, dtype=self.dtype)
        read = {name: cells.read(table, name, self.dtype) for name in self.names}
        self.pipeline.apply(read)
        return cells.lay(read, self.names, self.dtype)


def elsewhere(error: InvalidError, row: int) -> InvalidError:
    """The error of a stretch of rows; what it says of rows counts from the first of them."""
    return error if not row else InvalidError(f"{error.detail}, counted from row {row + 1} on")
