"""Describe a stored dataset version: its schema with counts, ranges, means and classes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.data.ingest.histogram import distributions
from core.data.table.schema import MAX_CLASSES, ColumnSchema, DatasetSchema, Label
from core.data.table.tensors import one_array, shape_of

# The most classes of all columns together, so that the schema stays small.
MAX_ALL_CLASSES = 50_000
MAX_CLASS_CHARACTERS = 200
PIECE_BYTES = 64 * 2**20


def describe(path: Path) -> DatasetSchema:
    """The schema of the canonical Arrow file at `path`, read a batch at a time."""
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_file(source) as reader:
        columns = [Summary(column_field) for column_field in reader.schema]
        rows = 0
        for table in _pieces(reader):
            rows += table.num_rows
            for summary, column in zip(columns, table.columns, strict=True):
                summary.add(one_array(column))
    kept = _affordable(columns)
    described = [summary.schema(summary.name in kept) for summary in columns]
    spread = distributions(path, rows, described)
    return DatasetSchema(
        rows=rows,
        columns=tuple(
            column.model_copy(update={"distribution": spread.get(column.name)})
            for column in described
        ),
    )


def _pieces(reader: pa.ipc.RecordBatchFileReader) -> Iterator[pa.Table]:
    """The rows, several batches at a time, so that the overhead of each piece is small."""
    gathered: list[pa.RecordBatch] = []
    for index in range(reader.num_record_batches):
        gathered.append(reader.get_batch(index))
        if sum(batch.nbytes for batch in gathered) >= PIECE_BYTES:
            yield pa.Table.from_batches(gathered)
            gathered = []
    if gathered:
        yield pa.Table.from_batches(gathered)


@dataclass
class Summary:
    """One column's running counts; mean and deviation by merging blocks (Chan, Golub, LeVeque)."""

    column: pa.Field
    nulls: int = 0
    not_finite: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    distinct: dict[Label, int] | None = field(default_factory=dict)

    def __post_init__(self) -> None:
        if shape_of(self.column):
            self.distinct = None

    @property
    def name(self) -> str:
        """The name of the column."""
        return str(self.column.name)

    def add(self, column: pa.Array) -> None:
        """Add the next rows."""
        self.nulls += column.null_count
        flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
        present = flat.drop_null()
        if not pa.types.is_string(present.type):
            values = present.to_numpy(zero_copy_only=False)
            if values.dtype.kind == "f":
                finite = np.isfinite(values)
                self.not_finite += int(len(values) - finite.sum())
                values = values[finite]
                present = pa.array(values)
            self._add_numbers(values)
        self._add_distinct(present)

    def _add_numbers(self, values: NDArray[Any]) -> None:
        """Merge a block of finite numbers."""
        if not len(values):
            return
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))
        exact = values.astype(np.float64, copy=False)
        # Values near the largest float overflow in a sum of squares: the result is then unknown.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(exact.mean())
            squares = float(np.square(exact - mean).sum())
        total = self.count + len(values)
        delta = mean - self.mean
        self.mean += delta * len(values) / total
        self.squares += squares + delta * delta * self.count * len(values) / total
        self.count = total

    def _add_distinct(self, present: pa.Array) -> None:
        """Merge the distinct values of a block, or stop counting them when there are many."""
        if self.distinct is None:
            return
        values, counts = pc.value_counts(present).flatten()
        if len(values) <= MAX_CLASSES:
            for value, count in zip(values.to_pylist(), counts.to_pylist(), strict=True):
                self.distinct[value] = self.distinct.get(value, 0) + count
        if len(values) > MAX_CLASSES or len(self.distinct) > MAX_CLASSES or self._unfit():
            self.distinct = None

    def _unfit(self) -> bool:
        """Whether the values are fractions or long text, and so not classes."""
        some = self.distinct or ()
        if pa.types.is_floating(self.column.type):
            return any(value != int(value) for value in some if not isinstance(value, str))
        return any(isinstance(value, str) and len(value) > MAX_CLASS_CHARACTERS for value in some)

    def schema(self, with_classes: bool) -> ColumnSchema:
        """The schema of the column."""
        kind = self.column.type
        values = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
        names = {pa.string(): "string", pa.float16(): "float16"}
        names |= {pa.float32(): "float32", pa.float64(): "float64"}
        classes = counts = None
        if with_classes and self.distinct is not None:
            classes = tuple(sorted(self.distinct))
            counts = tuple(self.distinct[label] for label in classes)
        some = self.count > 0
        return ColumnSchema(
            name=self.name,
            dtype=names.get(values, str(values)),
            shape=shape_of(self.column),
            nulls=self.nulls,
            not_finite=self.not_finite,
            classes=classes,
            class_counts=counts,
            minimum=self.minimum if some else None,
            maximum=self.maximum if some else None,
            mean=_known(self.mean) if some else None,
            deviation=_known(math.sqrt(self.squares / self.count)) if some else None,
        )


def _known(value: float) -> float | None:
    """The number, or None when it overflowed."""
    return value if math.isfinite(value) else None


def _affordable(columns: list[Summary]) -> set[str]:
    """The columns whose classes are stored: those with the fewest, within the limit."""
    kept: set[str] = set()
    total = 0
    for summary in sorted(columns, key=lambda summary: len(summary.distinct or ())):
        if summary.distinct is not None:
            total += len(summary.distinct)
            if total > MAX_ALL_CLASSES:
                break
            kept.add(summary.name)
    return kept
