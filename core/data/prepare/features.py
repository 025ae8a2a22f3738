"""Features of a dataset version: columns that are read, prepared and laid out as one array.

A network takes one array, a row of the table a row of the array. `TableFeatures` holds it in
memory, `StreamedFeatures` reads a slice of it from the disk whenever one is asked for.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from core.data.prepare.pipeline import ColumnCellError, Pipeline, Standardizer
from core.data.prepare.plan import plan
from core.data.prepare.preparation import Cells, Feature, Preparation, Shape
from core.data.prepare.steps.standardize import Standardize
from core.data.table.columns import field as field_of
from core.data.table.columns import is_text, refuse_not_finite, refuse_nulls
from core.data.table.reader import TableReader
from core.data.table.tensors import shape_of
from core.errors import InvalidError

Floats = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]
BLOCK_BYTES = 8 * 2**20
"""Raw float64 cells of all columns that are read at a time to learn from."""


@dataclass(frozen=True, kw_only=True)
class Features(ABC):
    """The columns `names` as numbers of `dtype`; `pipeline` and `standardizer` prepare them."""

    names: tuple[str, ...]
    dtype: np.dtype[Any]
    pipeline: Pipeline = field(default_factory=Pipeline)
    standardizer: Standardizer | None = None

    def fit(self, steps: Sequence[Preparation], *, standardize: bool) -> Self:
        """These features, prepared by what the training rows teach.

        With `standardize`, features that no step encodes or scales get mean 0 and deviation 1, and
        a column that `dtype` rounds too coarsely is standardized before it is rounded. Raises
        InvalidError naming column and row when a cell cannot be used.
        """
        fitted = self._fit(steps, standardize=standardize)
        coarse = fitted._coarse_columns()
        if not coarse:
            return fitted
        return self._fit((*steps, Standardize(columns=coarse)), standardize=standardize)

    @property
    @abstractmethod
    def row_shape(self) -> Shape:
        """The shape of one prepared row."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """The columns of the version."""

    @abstractmethod
    def training_cells(self, name: str) -> Iterator[Cells]:
        """The raw cells of a column in the training rows, in blocks."""

    @abstractmethod
    def _first_row(self) -> pa.Table:
        """The first training row as it is stored."""

    @abstractmethod
    def _fit_pipeline(self, steps: Sequence[Preparation], features: Sequence[Feature]) -> Self:
        """These features with the steps fitted, not standardized."""

    @abstractmethod
    def _fit_standardizer(self) -> Standardizer:
        """A standardizer fitted to the training rows as the pipeline leaves them."""

    def _fit(self, steps: Sequence[Preparation], *, standardize: bool) -> Self:
        features = describe(self.schema, self.names)
        fitted = self._fit_pipeline(steps, features)
        if not standardize:
            return fitted
        shapes = fitted._cell_shapes().values()
        after = plan(steps, features).features
        finished = np.concatenate(
            [np.full(math.prod(s), f.done) for s, f in zip(shapes, after, strict=True)]
        )
        if finished.all():
            return fitted
        return replace(fitted, standardizer=fitted._fit_standardizer().without(finished))

    def _cell_shapes(self) -> dict[str, Shape]:
        """The shape of one prepared cell of each column."""
        row = self._first_row()
        cells = {name: read_cells(row, name, self.dtype) for name in self.names}
        self.pipeline.apply(cells)
        return {name: column.shape[1:] for name, column in cells.items()}

    def _coarse_columns(self) -> tuple[str, ...]:
        """The columns of single numbers that lose digits when they become `dtype`."""
        if self.standardizer is None:
            return ()
        coarse, start, names = self.standardizer.unresolved(self.dtype), 0, []
        if not coarse.any():
            return ()
        for name, shape in self._cell_shapes().items():
            if not shape and coarse[start] and not self._exact(name):
                names.append(name)
            start += math.prod(shape)
        return tuple(names)

    def _exact(self, name: str) -> bool:
        """Whether `dtype` holds all training numbers of a column without rounding."""
        blocks = self.pipeline.prepare(name, self.training_cells(name))
        return all(np.array_equal(x.astype(self.dtype), x, equal_nan=True) for x in blocks)


@dataclass(frozen=True, kw_only=True)
class TableFeatures(Features):
    """Features of the rows of `table`, of which `training` are trained on, in memory.

    `numbers` are the numbers of the rows in the dataset version.
    """

    table: pa.Table
    numbers: Rows
    training: Rows
    x: Floats = field(default_factory=lambda: np.empty(0))
    """All rows, prepared by the pipeline but not standardized, once fitted."""

    def rows(self, rows: Rows) -> Floats:
        """The prepared features of some rows of the table."""
        x = self.x[rows]
        return x if self.standardizer is None else self.standardizer.apply(x)

    @property
    def row_shape(self) -> Shape:
        return tuple(self.x.shape[1:])

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    def training_cells(self, name: str) -> Iterator[Cells]:
        yield read_cells(self.table, name, self.dtype)[self.training]

    def _first_row(self) -> pa.Table:
        return self.table.slice(int(self.training[0]), 1)

    def _fit_pipeline(self, steps: Sequence[Preparation], features: Sequence[Feature]) -> Self:
        rows = self.numbers[self.training]
        try:
            pipeline = Pipeline.fit(steps, features, self.training_cells, whole=True)
            rows = self.numbers
            x = assemble(self.table, self.names, pipeline, self.dtype)
        except ColumnCellError as error:
            raise error.in_row(int(rows[error.row])) from None
        return replace(self, pipeline=pipeline, x=x)

    def _fit_standardizer(self) -> Standardizer:
        return Standardizer.fit(self.x[self.training])


@dataclass(frozen=True, kw_only=True)
class StreamedFeatures(Features):
    """Features of the rows `numbers`, which ascend, of a version that is read from the disk.

    `features[a:b]` reads and prepares rows `a` to `b` of them as one array `(rows, *row_shape)`.
    With `cached` the rows stay in memory after the first read.
    """

    reader: TableReader
    numbers: Rows
    row_shape: Shape = ()
    cached: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: slice) -> Floats:
        """Raises InvalidError naming column and row when a cell cannot be used."""
        if self.cached:
            return self._all_rows[rows]
        numbers = self.numbers[rows]
        if not len(numbers):
            return np.empty((0, *self.row_shape), self.dtype)
        table = self.reader.rows(numbers, self.names)
        with _rows_named(numbers):
            x = assemble(table, self.names, self.pipeline, self.dtype)
        return x if self.standardizer is None else self.standardizer.apply(x)

    @property
    def shape(self) -> Shape:
        """The shape of the array of all rows."""
        return (len(self), *self.row_shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of one prepared row."""
        return int(np.prod(self.row_shape)) * self.dtype.itemsize

    @property
    def schema(self) -> pa.Schema:
        return self.reader.schema

    def select(self, numbers: Rows, *, cached: bool = False) -> Self:
        """The features of other rows, prepared in the same way."""
        return replace(self, numbers=numbers, cached=cached)

    def request(self, positions: Rows) -> None:
        """Announce that these of the rows are needed next, for a version that is arriving."""
        self.reader.request(self.numbers[positions])

    def training_cells(self, name: str) -> Iterator[Cells]:
        for rows in self._blocks():
            numbers = self.numbers[rows]
            with _rows_named(numbers):
                cells = read_cells(self.reader.rows(numbers, [name]), name, self.dtype)
            yield cells

    def _first_row(self) -> pa.Table:
        return self.reader.rows(self.numbers[:1], self.names)

    def _fit_pipeline(self, steps: Sequence[Preparation], features: Sequence[Feature]) -> Self:
        try:
            pipeline = Pipeline.fit(steps, features, self.training_cells)
        except ColumnCellError as error:
            raise error.in_row(int(self.numbers[error.row])) from None
        fitted = replace(self, pipeline=pipeline)
        return replace(fitted, row_shape=fitted[0:1].shape[1:])

    def _fit_standardizer(self) -> Standardizer:
        return Standardizer.fit_blocks(self[rows] for rows in self._blocks())

    @cached_property
    def _all_rows(self) -> Floats:
        return replace(self, cached=False)[0 : len(self)]

    def _blocks(self) -> Iterator[slice]:
        """Slices of rows that take little memory, the same on every machine."""
        kinds = [self.schema.field(name).type for name in self.names]
        width = sum(kind.list_size if pa.types.is_fixed_size_list(kind) else 1 for kind in kinds)
        step = max(1, BLOCK_BYTES // (width * 8))
        for start in range(0, len(self), step):
            yield slice(start, min(start + step, len(self)))


def describe(schema: pa.Schema, names: Sequence[str]) -> list[Feature]:
    """What one cell of each column is. Raises InvalidError for a column that does not exist."""
    fields = [field_of(schema, name) for name in names]
    return [Feature(f.name, shape_of(f), text=is_text(f.type)) for f in fields]


def assemble(
    table: pa.Table, names: Sequence[str], pipeline: Pipeline, dtype: np.dtype[Any]
) -> Floats:
    """The columns of `table`, prepared by `pipeline`, as one array of numbers.

    Raises ColumnCellError for a cell that cannot be prepared, and InvalidError as `numeric_array`.
    """
    if not pipeline.steps:
        return numeric_array(table, names, dtype)
    cells = {name: read_cells(table, name, dtype) for name in names}
    pipeline.apply(cells)
    return concatenate(cells, names, dtype)


def numeric_array(table: pa.Table, names: Sequence[str], dtype: DTypeLike = np.float32) -> Floats:
    """Columns of numbers as one array, a row of the table a row of the array.

    One tensor column gives (rows, *shape). Several columns are concatenated in the order of
    `names`, tensors flattened: (rows, n). Raises InvalidError naming the column and row of text, a
    missing value or a number that is not finite.
    """
    if not names:
        raise InvalidError("at least one feature column is needed")
    shapes = [shape_of(field_of(table.schema, name)) for name in names]
    widths = [math.prod(shape) for shape in shapes]
    wide = np.empty((table.num_rows, sum(widths)), dtype=dtype)
    start = 0
    for name, width in zip(names, widths, strict=True):
        _fill(wide[:, start : start + width], table.column(name), name)
        start += width
    return wide.reshape(table.num_rows, *shapes[0]) if len(names) == 1 and shapes[0] else wide


def read_cells(table: pa.Table, name: str, dtype: DTypeLike) -> Cells:
    """The cells of a column: float64, text, or arrays of `dtype`; NaN or None where empty.

    Raises InvalidError naming column and row of an infinity, or of an array with a gap.
    """
    column_field = field_of(table.schema, name)
    if shape_of(column_field):
        return numeric_array(table, [name], dtype)
    column = table.column(name)
    if is_text(column_field.type):
        return np.array(column.to_pylist(), object)
    cells: Cells = np.array(pc.cast(column, pa.float64()).to_numpy(), np.float64)
    if np.isinf(cells).any():
        row = int(np.argmax(np.isinf(cells)))
        raise InvalidError(f"column {name!r} has an infinity in row {row + 1}")
    return cells


def concatenate(cells: Mapping[str, Cells], names: Sequence[str], dtype: DTypeLike) -> Floats:
    """Prepared cells as one array; a single column keeps its shape.

    Raises InvalidError naming a column that is still text, or an empty cell and its row.
    """
    rows = len(cells[names[0]])
    widths = [math.prod(cells[name].shape[1:]) for name in names]
    wide = np.empty((rows, sum(widths)), dtype)
    start = 0
    for name, width in zip(names, widths, strict=True):
        part = cells[name]
        if part.dtype == object:
            raise InvalidError(
                f"column {name!r} is text: encode it with one_hot, ordinal or hashing in "
                "data.prepare, or leave it out of the features"
            )
        with np.errstate(over="ignore"):
            wide[:, start : start + width] = part.reshape(rows, width)
        finite = np.isfinite(wide[:, start : start + width]).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise InvalidError(
                f"column {name!r} is empty or beyond {wide.dtype} in row {row + 1} after its "
                "preparation: impute or clip it"
            )
        start += width
    shape = cells[names[0]].shape[1:]
    return wide.reshape(rows, *shape) if len(names) == 1 and shape else wide


def counted_from(error: InvalidError, row: int) -> InvalidError:
    """An error about some rows of a table, of which the first is row `row` of the table."""
    return error if not row else InvalidError(f"{error.detail}, counted from row {row + 1} on")


@contextmanager
def _rows_named(numbers: Rows) -> Iterator[None]:
    """Let errors name rows by their numbers in the dataset version."""
    try:
        yield
    except ColumnCellError as error:
        raise error.in_row(int(numbers[error.row])) from None
    except InvalidError as error:
        raise counted_from(error, int(numbers[0])) from None


def _fill(out: Floats, column: pa.ChunkedArray, name: str) -> None:
    """Write the numbers of a column into `out` (rows, width), chunk by chunk."""
    refuse_nulls(column, name)
    start = 0
    for chunk in column.chunks:
        flat = chunk.flatten() if pa.types.is_fixed_size_list(chunk.type) else chunk
        if is_text(flat.type):
            first = flat[0].as_py() if len(flat) else ""
            raise InvalidError(
                f"column {name!r} is text ({first!r} in row {start + 1}): "
                "a feature must be a number; leave the column out of the features or encode it "
                "(one_hot, ordinal or hashing in data.prepare)"
            )
        values = flat.to_numpy(zero_copy_only=False).reshape(len(chunk), out.shape[1])
        if values.dtype.kind == "f":
            refuse_not_finite(values, name, start)
        with np.errstate(over="ignore"):
            out[start : start + len(chunk)] = values
        start += len(chunk)
    # A finite float64 may be beyond what float32 can hold.
    if out.dtype.itemsize < 8:
        refuse_not_finite(out, name, 0)
