"""Columns of arrays in Arrow: fields, shapes and conversion."""

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.errors import InvalidError

SHAPE = b"shape"


def shape_of(field: pa.Field) -> tuple[int, ...]:
    """Shape of one cell of the column; `()` when a cell is a single value."""
    if not pa.types.is_fixed_size_list(field.type):
        return ()
    metadata = field.metadata or {}
    if SHAPE not in metadata:
        return (field.type.list_size,)
    return tuple(json.loads(metadata[SHAPE]))


def tensor_field(name: str, values: pa.DataType, shape: tuple[int, ...]) -> pa.Field:
    """The field of a column whose cells are arrays of `shape` (a scalar column for `()`)."""
    if not shape:
        return pa.field(name, values)
    inner = pa.field("item", values, nullable=False)
    metadata = {SHAPE: json.dumps(list(shape)).encode()}
    return pa.field(name, pa.list_(inner, math.prod(shape)), metadata=metadata)


def tensor_array(values: NDArray[Any], field: pa.Field) -> pa.Array:
    """An array whose first axis is the rows as an Arrow array for `field`."""
    if not pa.types.is_fixed_size_list(field.type):
        return pa.array(values, type=field.type)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), type=field.type.value_type)
    return pa.FixedSizeListArray.from_arrays(flat, type=field.type)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The chunks of a column joined to one array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks)


def unnested(column: pa.Array, field: pa.Field, row: int) -> tuple[pa.Array, tuple[int, ...]]:
    """The values of a column of lists as one flat array, and the shape of all cells.

    `row` rows precede this batch. Raises InvalidError naming the column, and the row of a
    missing cell or of one with another shape than the first.
    """
    shape: list[int] = []
    rows = len(column)
    while pa.types.is_nested(column.type):
        if column.null_count:
            place = row + pc.index(column.is_null(), True).as_py() * rows // len(column)
            raise InvalidError(f"column {field.name!r}, row {place + 1}: an array is missing")
        lengths = pc.list_value_length(column)
        extent = lengths[0].as_py() if len(lengths) else 0
        differs = pc.index(pc.not_equal(lengths, extent), True).as_py()
        if differs >= 0:
            place = row + differs * rows // len(column)
            raise InvalidError(
                f"column {field.name!r}, row {place + 1}: {lengths[differs].as_py()} values where "
                f"the rows before have {extent}: all cells must have one shape"
            )
        if not extent:
            raise InvalidError(f"column {field.name!r} holds empty arrays")
        shape.append(extent)
        column = column.flatten()
    if not (pa.types.is_boolean(column.type) or _is_number(column.type)):
        raise InvalidError(f"column {field.name!r} holds arrays of {column.type}, not of numbers")
    if column.null_count:
        place = row + pc.index(column.is_null(), True).as_py() * rows // len(column)
        raise InvalidError(f"column {field.name!r}, row {place + 1}: a number is missing")
    declared = _declared_shape(field, math.prod(shape))
    return column, declared or tuple(shape)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _declared_shape(field: pa.Field, size: int) -> tuple[int, ...]:
    """The shape of flat lists in the metadata or tensor type of a field, if it fits."""
    kind = field.type
    if isinstance(kind, pa.FixedShapeTensorType):
        shape = tuple(kind.shape)
    else:
        text = (field.metadata or {}).get(SHAPE, b"[]")
        try:
            shape = tuple(int(extent) for extent in json.loads(text))
        except (ValueError, TypeError):
            return ()
    return shape if shape and math.prod(shape) == size and min(shape) > 0 else ()
