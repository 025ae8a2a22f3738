"""Columns of a stored dataset version as arrays."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from core.data.table import memory_map
from core.data.table.schema import listed
from core.data.table.tensors import shape_of
from core.errors import InvalidError

Array = NDArray[Any]


def load(path: Path) -> pa.Table:
    """The table in the canonical file or manifest at `path`, memory-mapped: nothing is copied.

    Raises NotFoundError when there is no such file, InvalidError when it is not whole.
    """
    return memory_map.table(path)


def features(
    table: pa.Table, names: Sequence[str], dtype: DTypeLike = np.float32
) -> NDArray[np.floating[Any]]:
    """The columns as one array of numbers, a row of the table a row of the array.

    One tensor column gives (rows, *shape); anything else is laid side by side in the order of
    `names`, tensors flattened: (rows, n). Raises InvalidError naming the column and row of a
    text column, a missing value or a number that is not finite.
    """
    if not names:
        raise InvalidError("at least one feature column is needed")
    shapes = [shape_of(field(table, name)) for name in names]
    widths = [math.prod(shape) for shape in shapes]
    wide = np.empty((table.num_rows, sum(widths)), dtype=dtype)
    start = 0
    for name, width in zip(names, widths, strict=True):
        _fill(wide[:, start : start + width], table.column(name), name)
        start += width
    if len(names) == 1 and shapes[0]:
        return wide.reshape(table.num_rows, *shapes[0])
    return wide


def labels(table: pa.Table, name: str) -> Array:
    """The values of a column as they are in the data: numbers, booleans or an object array of text.

    Raises InvalidError naming the row of a missing value, or when the cells are tensors.
    """
    _check_labels(table, name)
    return np.ascontiguousarray(table.column(name).to_numpy())


def encoded(
    table: pa.Table, name: str, known: Sequence[object] | None = None
) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """The labels of a column, ascending, or those `known`; of each row the place of its own.

    Raises InvalidError as `labels` and `codes` do. No Python object is made for a row.
    """
    _check_labels(table, name)
    indexed = table.column(name).combine_chunks().dictionary_encode()
    if isinstance(indexed, pa.ChunkedArray):
        indexed = indexed.combine_chunks()
    found = indexed.dictionary.to_numpy(zero_copy_only=False)
    all_labels = tuple(np.unique(found).tolist() if known is None else known)
    places = codes(found, all_labels, name)
    return all_labels, places[indexed.indices.to_numpy()]


def codes(values: Array, classes: Sequence[object], name: str = "label") -> NDArray[np.int64]:
    """The place of each value in `classes`; InvalidError for a value that is none of them."""
    place = {label: code for code, label in enumerate(classes)}
    try:
        found = (place[value] for value in values.tolist())
        return np.fromiter(found, dtype=np.int64, count=len(values))
    except KeyError as error:
        known = listed(tuple(map(repr, classes)))
        raise InvalidError(f"column {name!r}: {error.args[0]!r} is none of {known}") from error


def field(table: pa.Table, name: str) -> pa.Field:
    """The field called `name`, or InvalidError with the names there are."""
    index = table.schema.get_field_index(name)
    if index < 0:
        known = listed(tuple(table.column_names))
        raise InvalidError(f"there is no column {name!r}; the columns are {known}")
    return table.schema.field(index)


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_boolean(kind: pa.DataType) -> bool:
    """Whether values of this type, or of arrays of it, are true or false."""
    inner = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    return bool(pa.types.is_boolean(inner))


def _fill(out: Array, column: pa.ChunkedArray, name: str) -> None:
    """Write the numbers of a column into `out` (rows, width), chunk by chunk."""
    _refuse_nulls(column, name)
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
            _refuse_not_finite(values, name, start)
        with np.errstate(over="ignore"):
            out[start : start + len(chunk)] = values
        start += len(chunk)
    # A finite float64 may be beyond what float32 can hold.
    if out.dtype.itemsize < 8:
        _refuse_not_finite(out, name, 0)


def _check_labels(table: pa.Table, name: str) -> None:
    """Raise InvalidError unless every cell of the column is a label."""
    if shape := shape_of(field(table, name)):
        raise InvalidError(f"column {name!r} holds arrays of shape {shape}, not labels")
    column = table.column(name)
    _refuse_nulls(column, name)
    if pa.types.is_floating(column.type):
        _refuse_not_finite(column.to_numpy(), name, 0)


def _refuse_nulls(column: pa.ChunkedArray, name: str) -> None:
    """Raise InvalidError naming the first row without a value."""
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise InvalidError(
            f"column {name!r} has {column.null_count} missing values, the first in row {row + 1}"
        )


def _refuse_not_finite(values: Array, name: str, start: int) -> None:
    """Raise InvalidError naming the first row (`start` rows precede) with a NaN or infinity."""
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite.reshape(len(values), -1).all(axis=1)))
        raise InvalidError(
            f"column {name!r} has a number that is not finite (for {values.dtype}) "
            f"in row {start + row + 1}"
        )
