"""One array in NumPy's own `.npy` form, its header judged before its numbers are read."""

import math
import tokenize
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from core.data.limits import Limits
from core.data.schema import NUMBERS
from core.data.tensors import tensor_array, tensor_field
from core.errors import InvalidError, TooLargeError

MAX_AXES = 8


@dataclass
class Npy:
    """An array that is read from `stream` some rows at a time.

    `shape` is that of one row. A Fortran-ordered array lies in memory as a whole, in `whole`.
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
        """The Arrow column it becomes."""
        text = self.dtype.kind == "U"
        values = pa.string() if text else pa.from_numpy_dtype(self.dtype.newbyteorder("="))
        return tensor_field(self.name, values, self.shape)

    def take(self, count: int) -> pa.Array:
        """The next `count` rows. Raises InvalidError when the file ends before them."""
        if self.whole is not None:
            block = self.whole[self.taken : self.taken + count]
        else:
            block = _exactly(self.stream, self.dtype, (count, *self.shape), self.name)
        self.taken += count
        if self.dtype.kind == "U":
            return pa.array(block.tolist(), pa.string())
        return tensor_array(block.astype(self.dtype.newbyteorder("="), copy=False), self.field)


def read_npy(stream: IO[bytes], name: str, size: int, limits: Limits) -> Npy:
    """The array in `stream`, a `.npy` file of `size` bytes, which will be column `name`.

    Raises InvalidError for Python objects, structured or odd types, and sizes that do not fit the
    file; TooLargeError for a Fortran-ordered array too large to be turned around in memory.
    """
    shape, fortran, dtype, header = _header(stream, name)
    if dtype.hasobject:
        raise InvalidError(f"array {name!r} holds Python objects (a pickle): it is never loaded")
    plain = dtype.newbyteorder("=").name
    if plain not in NUMBERS and dtype.kind != "U":
        raise InvalidError(f"array {name!r} is of type {dtype}: numbers or text are expected")
    if not 1 <= len(shape) <= MAX_AXES:
        raise InvalidError(f"array {name!r} has {len(shape)} axes; 1 to {MAX_AXES} are expected")
    if min(shape) < 0 or math.prod(shape[1:]) == 0 or dtype.itemsize == 0:
        raise InvalidError(f"array {name!r} has empty rows: shape {shape}, type {dtype}")
    if dtype.kind == "U" and (len(shape) > 1 or dtype.itemsize > limits.max_cell_bytes):
        raise InvalidError(f"array {name!r}: text must have one axis and short values")
    expected = math.prod(shape) * dtype.itemsize
    if size - header != expected:
        raise InvalidError(
            f"array {name!r} promises {expected:,} bytes of numbers, the file has {size - header:,}"
        )
    array = Npy(name, stream, dtype, shape[0], shape[1:])
    if fortran and len(shape) > 1:
        if expected > limits.memory_bytes // 4:
            raise TooLargeError(
                f"array {name!r} has {expected:,} bytes in Fortran order: save it in C order"
            )
        array.whole = _exactly(stream, dtype, shape[::-1], name).transpose()
    return array


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran order, type and length of the header."""
    try:
        version = npy_format.read_magic(stream)
        readers = {
            (1, 0): npy_format.read_array_header_1_0,
            (2, 0): npy_format.read_array_header_2_0,
        }
        if version not in readers:
            raise InvalidError(f"array {name!r} is of .npy version {version}")
        shape, fortran, dtype = readers[version](stream)
    except (ValueError, SyntaxError, TypeError, tokenize.TokenError, RecursionError) as error:
        # NumPy's own text would advise to allow pickles.
        raise InvalidError(f"array {name!r} has no readable .npy header") from error
    return shape, fortran, dtype, stream.tell()


def _exactly(
    stream: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...], name: str
) -> NDArray[Any]:
    """An array of `shape` filled from `stream`; InvalidError when it ends too early."""
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
