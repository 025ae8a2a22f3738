"""One array in NumPy's `.npy` format; its header is checked before its numbers are read."""

import math
import tokenize
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from core.data.ingest.arraystream import ArrayStream, exactly
from core.data.ingest.limits import Limits
from core.data.table.schema import NUMBERS
from core.errors import InvalidError, TooLargeError

MAX_AXES = 8


def read_npy(stream: IO[bytes], name: str, size: int, limits: Limits) -> ArrayStream:
    """The array in `stream`, a `.npy` file of `size` bytes, as column `name`.

    Raises InvalidError for Python objects, structured or unsupported types, and sizes that do not
    match the file; TooLargeError for a Fortran-ordered array too large to transpose in memory.
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
    array = ArrayStream(name, stream, dtype, shape[0], shape[1:])
    if fortran and len(shape) > 1:
        if expected > limits.memory_bytes // 4:
            raise TooLargeError(
                f"array {name!r} has {expected:,} bytes in Fortran order: save it in C order"
            )
        array.whole = exactly(stream, dtype, shape[::-1], name).transpose()
    return array


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether it is in Fortran order, type, and length of the header."""
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
        # NumPy's message would advise to allow pickles.
        raise InvalidError(f"array {name!r} has no readable .npy header") from error
    return shape, fortran, dtype, stream.tell()
