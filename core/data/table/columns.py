"""Columns of a stored dataset version as labels, and what a column may hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.data.table.schema import listed
from core.data.table.tensors import shape_of
from core.errors import InvalidError

Array = NDArray[Any]


def labels(table: pa.Table, name: str) -> Array:
    """The values of a column as stored: numbers, booleans or an object array of text.

    Raises InvalidError naming the row of a missing value, or when the cells are tensors.
    """
    _check_labels(table, name)
    return np.ascontiguousarray(table.column(name).to_numpy())


def encoded(
    table: pa.Table, name: str, known: Sequence[object] | None = None
) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """The labels of a column, ascending, or those `known`, and for each row the code of its label.

    Creates no Python object for a row. Raises InvalidError as `labels` and `codes` do.
    """
    _check_labels(table, name)
    indexed = table.column(name).combine_chunks().dictionary_encode()
    if isinstance(indexed, pa.ChunkedArray):
        indexed = indexed.combine_chunks()
    distinct = indexed.dictionary.to_numpy(zero_copy_only=False)
    all_labels = tuple(np.unique(distinct).tolist() if known is None else known)
    return all_labels, codes(distinct, all_labels, name)[indexed.indices.to_numpy()]


def codes(values: Array, classes: Sequence[object], name: str = "label") -> NDArray[np.int64]:
    """The position of each value in `classes`. Raises InvalidError for a value not in them."""
    code_of = {label: code for code, label in enumerate(classes)}
    try:
        return np.fromiter((code_of[v] for v in values.tolist()), np.int64, len(values))
    except KeyError as error:
        known = listed(tuple(map(repr, classes)))
        raise InvalidError(f"column {name!r}: {error.args[0]!r} is none of {known}") from error


def field(schema: pa.Schema, name: str) -> pa.Field:
    """The field called `name`. Raises InvalidError that lists the columns."""
    index = schema.get_field_index(name)
    if index < 0:
        known = listed(tuple(schema.names))
        raise InvalidError(f"there is no column {name!r}; the columns are {known}")
    return schema.field(index)


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_boolean(kind: pa.DataType) -> bool:
    """Whether values of this type, or the elements of its arrays, are true or false."""
    inner = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
    return bool(pa.types.is_boolean(inner))


def _check_labels(table: pa.Table, name: str) -> None:
    """Raise InvalidError unless every cell of the column is a label."""
    if shape := shape_of(field(table.schema, name)):
        raise InvalidError(f"column {name!r} holds arrays of shape {shape}, not labels")
    column = table.column(name)
    refuse_nulls(column, name)
    if pa.types.is_floating(column.type):
        refuse_not_finite(column.to_numpy(), name, 0)


def refuse_nulls(column: pa.ChunkedArray, name: str) -> None:
    """Raise InvalidError naming the first row without a value."""
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise InvalidError(
            f"column {name!r} has {column.null_count} missing values, the first in row {row + 1}"
        )


def refuse_not_finite(values: Array, name: str, start: int) -> None:
    """Raise InvalidError naming the first row (`start` rows precede) with a NaN or infinity."""
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite.reshape(len(values), -1).all(axis=1)))
        raise InvalidError(
            f"column {name!r} has a number that is not finite (for {values.dtype}) "
            f"in row {start + row + 1}"
        )
