"""Run an elementwise function over vectors: as array calls in blocks, or compiled to one pass."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from core.nn.array import Array
from core.nn.compile import kernels
from core.nn.compile.trace import trace

BLOCK = 32_768
"""Numbers of each vector per array call, so that the blocks of all vectors fit a CPU cache."""

Function: TypeAlias = Callable[[Any, Any, Any, Any], None]
"""`function(xp, arrays, numbers, scratch)` changes arrays in place.

It uses only functions that `core.nn.compile.trace` supports, each with `out`, and writes scratch
arrays before it reads them.
"""


class Elementwise:
    """`function` bound to vectors `(*stack, size)` of one shape and dtype; call it with numbers.

    Each number may be a float64 array `(k, 1)` with one number per network. On a CPU the function
    is compiled once that saves time (`fuse=True`: at the first call; `False`: never); the results
    are bit-identical. Arrays whose indices are in `consumed` end with undefined content.
    """

    def __init__(
        self,
        function: Function,
        xp: Any,
        arrays: Sequence[Array],
        *,
        scratch: int = 0,
        consumed: tuple[int, ...] = (),
        fuse: bool | None = None,
    ) -> None:
        self._function = function
        self._xp = xp
        self._arrays = tuple(arrays)
        self._scratch = scratch
        self._consumed = consumed
        self._dtype = arrays[0].dtype
        self._stack = arrays[0].shape[:-1]
        compilable = xp is np and arrays[0].size > 0 and fuse is not False
        self._break_even = kernels.BreakEven(arrays[0].size, calls=6) if compilable else None
        self._immediately = fuse
        self._kernel: kernels.Kernel | None = None
        self._numbers: Any = None
        self._columns: list[Array] = []
        self._blocks: list[Any] = []

    @property
    def fused(self) -> bool:
        """Whether the function is compiled to one pass over memory."""
        return self._kernel is not None

    def __call__(self, *numbers: Any) -> None:
        if self._break_even is not None and (self._immediately or self._break_even.reached()):
            self._start_fused(len(numbers))
        if self._kernel is not None:
            self._fill(numbers)
            self._kernel()
            return
        scalars = tuple(
            self._xp.asarray(n, self._dtype) if isinstance(n, np.ndarray) else float(n)
            for n in numbers
        )
        for arrays, scratch in self._blocks or self._cut():
            self._function(self._xp, arrays, scalars, scratch)

    def _cut(self) -> list[Any]:
        """Cut the vectors into blocks with scratch arrays."""
        size = self._arrays[0].shape[-1]
        networks = self._arrays[0].size // max(1, size)
        width = max(1, min(size, max(256, BLOCK // max(1, networks))))
        if self._xp is not np:  # on a GPU, fewer calls matter more than a cache
            width = max(1, size)
        scratch = [self._xp.empty((*self._stack, width), self._dtype) for _ in range(self._scratch)]
        self._blocks = [
            (
                tuple(array[..., start : start + width] for array in self._arrays),
                tuple(t[..., : min(width, size - start)] for t in scratch),
            )
            for start in range(0, size, width)
        ]
        return self._blocks

    def _start_fused(self, count: int) -> None:
        """Compile the function if that is possible; tried once."""
        self._break_even = None
        size = self._arrays[0].shape[-1]
        rows = [array.reshape(-1, size) for array in self._arrays]
        if not all(map(np.shares_memory, rows, self._arrays)):
            return
        program = trace(self._function, len(rows), count, self._scratch, self._consumed)
        self._numbers = np.empty((len(rows[0]), count), self._dtype)
        each = self._numbers.reshape(*self._stack, count)
        self._columns = [each[..., i : i + 1] for i in range(count)]
        self._kernel = kernels.bind(program, rows, self._numbers)
        self._blocks = [] if self._kernel is not None else self._blocks

    def _fill(self, numbers: tuple[Any, ...]) -> None:
        """Write the numbers to the memory that the kernel reads."""
        if not self._stack:
            self._numbers[0] = numbers
            return
        for column, value in zip(self._columns, numbers, strict=True):
            column[...] = value
