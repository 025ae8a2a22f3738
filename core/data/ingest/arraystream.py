"""Arrays stored in files as consecutive numbers, read a few rows at a time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.ingest.format import check_names, rows_at_once
from core.data.ingest.limits import Limits
from core.data.table.tensors import tensor_array, tensor_field
from core.errors import InvalidError


@dataclass
class ArrayStream:
    """An array in `stream`, positioned at its first number.

    `shape` is the shape of one row. A Fortran-ordered array is held in memory, in `whole`.
    """

    name: str
    stream: IO[bytes]
    dtype: np.dtype[Any]
    rows: int
    shape: tuple[int, ...]
    whole: NDArray[Any] | None = None
    taken: int = 0

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape)

    @property
    def field(self) -> pa.Field:
        """The field of its Arrow column."""
        text = self.dtype.kind == "U"
        values = pa.string() if text else pa.from_numpy_dtype(self.dtype.newbyteorder("="))
        return tensor_field(self.name, values, self.shape)

    def take(self, count: int) -> NDArray[Any]:
        """The next `count` rows, in native byte order. Raises InvalidError at an early end."""
        if self.whole is not None:
            block = self.whole[self.taken : self.taken + count]
        else:
            block = exactly(self.stream, self.dtype, (count, *self.shape), self.name)
        self.taken += count
        return block.astype(self.dtype.newbyteorder("="), copy=False)

    def column(self, count: int) -> pa.Array:
        """The next `count` rows as an Arrow column."""
        block = self.take(count)
        if self.dtype.kind == "U":
            return pa.array(block.tolist(), pa.string())
        return tensor_array(block, self.field)


def together(arrays: list[ArrayStream], limits: Limits) -> Iterator[pa.RecordBatch]:
    """Batches of several arrays, a column each. Raises InvalidError when their lengths differ."""
    check_names([array.name for array in arrays], limits)
    lengths = {array.name: array.rows for array in arrays}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {rows}" for name, rows in lengths.items())
        raise InvalidError(f"the arrays have different numbers of rows: {counts}")
    rows = arrays[0].rows
    at_once = rows_at_once(sum(array.row_bytes for array in arrays))
    schema = pa.schema([array.field for array in arrays])
    for start in range(0, rows, at_once):
        count = min(at_once, rows - start)
        yield pa.record_batch([array.column(count) for array in arrays], schema=schema)


def side_by_side(array: ArrayStream, limits: Limits) -> Iterator[pa.RecordBatch]:
    """Batches of a table-like array (rows, n): n columns `column_1` ... in its type."""
    (width,) = array.shape
    names = [f"column_{place + 1}" for place in range(width)]
    check_names(names, limits)
    at_once = rows_at_once(array.row_bytes)
    for start in range(0, array.rows, at_once):
        block = array.take(min(at_once, array.rows - start))
        columns = [pa.array(np.ascontiguousarray(block[:, place])) for place in range(width)]
        yield pa.record_batch(columns, names=names)


def exactly(
    stream: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...], name: str
) -> NDArray[Any]:
    """An array of `shape` read from `stream`. Raises InvalidError when the stream ends early."""
    block = np.empty(shape, dtype)
    view = block.reshape(-1).view(np.uint8).data
    filled = 0
    while filled < len(view):
        piece = stream.read(min(len(view) - filled, 2**20))
        if not piece:
            raise InvalidError(f"array {name!r} ends after {filled:,} of {len(view):,} bytes")
        view[filled : filled + len(piece)] = piece
        filled += len(piece)
    return block
