"""An elementwise function over whole vectors: as array calls in blocks, or fused into one pass."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from core.nn.array import Array
from core.nn.compile import kernels
from core.nn.compile.trace import trace

BLOCK = 32_768
"""Numbers of a vector that array calls take at a time: with its neighbours they fit a cache."""

Function: TypeAlias = Callable[[Any, Any, Any, Any], None]
"""`function(xp, arrays, numbers, scratch)`: changes arrays in place.

It may use only what `core.nn.compile.trace` knows, each with `out`; scratch must be written before
read.
"""


class Elementwise:
    """`function` bound to vectors `(*stack, size)` of one shape and dtype; call it with numbers.

    Each number is one, or one for each network: a float64 array `(k, 1)`. On a CPU the work is
    fused as soon as that pays (`fuse=True`: at once, `False`: never); the bits are the same either
    way. Arrays whose place is in `consumed` end with undefined content.
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
        suits = xp is np and arrays[0].size > 0 and fuse is not False
        self._gain = kernels.Gain(arrays[0].size, calls=6) if suits else None
        self._at_once = fuse
        self._kernel: kernels.Kernel | None = None
        self._numbers: Any = None
        self._columns: list[Array] = []
        self._blocks: list[Any] = []

    @property
    def fused(self) -> bool:
        """Whether it runs as one pass by now."""
        return self._kernel is not None

    def __call__(self, *numbers: Any) -> None:
        if self._gain is not None and (self._at_once or self._gain.reached()):
            self._start_fused(len(numbers))
        if self._kernel is not None:
            self._fill(numbers)
            self._kernel()
            return
        ready = tuple(
            self._xp.asarray(n, self._dtype) if isinstance(n, np.ndarray) else float(n)
            for n in numbers
        )
        for arrays, scratch in self._blocks or self._cut():
            self._function(self._xp, arrays, ready, scratch)

    def _cut(self) -> list[Any]:
        """All vectors in blocks, with scratch to compute in."""
        size = self._arrays[0].shape[-1]
        networks = self._arrays[0].size // max(1, size)
        width = max(1, min(size, max(256, BLOCK // max(1, networks))))
        if self._xp is not np:  # a GPU has no such cache, but a price for every call
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
        """Fuse from now on, if it can be done at all; asked once."""
        self._gain = None
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
        """Write the numbers where the kernel reads them."""
        if not self._stack:
            self._numbers[0] = numbers
            return
        for column, value in zip(self._columns, numbers, strict=True):
            column[...] = value
