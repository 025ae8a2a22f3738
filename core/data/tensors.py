"""Cells that are arrays: how a column of them lies in Arrow."""

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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
