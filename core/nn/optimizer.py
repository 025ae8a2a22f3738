"""What an optimizer is: elementwise arithmetic from gradients to new weights."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from core.family import Family
from core.nn import fused
from core.nn.array import Array
from core.nn.trace import Stand, trace

BLOCK = 32_768
"""Weights updated at a time by array calls: with gradient and slots they fit a core's own cache."""


class Optimizer(Family):
    """Rewrites the flat weight vector in place, from its gradient and slots.

    Every hyperparameter is one number, or one for each network of a stack: a float64 array
    `(k, 1)`. `slots` names the vectors it keeps beside the weights, all zero at first; `scratch`
    is how many vectors it needs to compute in. `update` may use only elementwise functions that
    `core.nn.trace` knows, each with `out`, and branch on nothing but its own hyperparameters: so it
    can be traced and run as one pass over memory.
    """

    scratch: ClassVar[int] = 1
    learning_rate: Any

    @property
    def slots(self) -> tuple[str, ...]:
        """The vectors it keeps: none that its hyperparameters make useless."""
        return ()

    @abstractmethod
    def coefficients(self, step: int, rate: Any) -> tuple[Any, ...]:
        """The numbers of one update, in float64: `step` counts from 1, `rate` is the rate now."""

    @abstractmethod
    def update(
        self,
        xp: Any,
        w: Array,
        g: Array,
        slots: tuple[Array, ...],
        coefficients: tuple[Any, ...],
        scratch: tuple[Array, ...],
    ) -> None:
        """Move a block of weights `w` in place; the gradient `g` is free to be overwritten."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator["Optimizer"]:
        """Members worth testing."""


def moments(xp: Any, m: Array, v: Array, g: Array, betas: tuple[Any, Any]) -> None:
    """`m = b1 m + g` and `v = b2 v + g^2`; `g` becomes its square.

    The usual running means are `(1 - b1) m` and `(1 - b2) v`: leaving these constants to the
    coefficients of an update saves two passes.
    """
    m *= betas[0]
    m += g
    v *= betas[1]
    g *= g
    v += g


class Updater:
    """Runs an optimizer over the flat vectors of a network.

    `weights` is `(*stack, size)`; `slots` maps names to vectors of the same shape: write into them
    to restore a state. On a CPU the update is fused into one pass over memory as soon as that pays
    (`fuse=True`: from the first update, `False`: never); the bits are the same either way.
    """

    def __init__(
        self, optimizer: Optimizer, xp: Any, weights: Array, *, fuse: bool | None = None
    ) -> None:
        self.optimizer = optimizer
        self.step = 0
        self.slots: Mapping[str, Array] = MappingProxyType(
            {name: xp.zeros_like(weights) for name in optimizer.slots}
        )
        self._xp = xp
        self._weights = weights
        self._dtype = weights.dtype
        self._stack = weights.shape[:-1]
        self._gradients: Array | None = None
        self._blocks: list[Any] = []
        self._kernel: fused.Kernel | None = None
        self._numbers: Array | None = None
        self._fuse = fuse
        suits = xp is np and weights.size > 0 and fuse is not False
        self._gain = fused.Gain(weights.size) if suits else None

    def update(self, gradients: Array, rate: Any) -> None:
        """Move all weights once. `rate` is one number or a float64 array `(k, 1)`.

        `gradients` may be overwritten; pass the same array each time, finding another is slow.
        """
        self.step += 1
        coefficients = self.optimizer.coefficients(self.step, rate)
        if gradients is not self._gradients:
            self._bind(gradients)
        if self._gain is not None and (self._fuse or self._gain.reached()):
            self._start_fused(len(coefficients))
        if self._kernel is not None:
            self._fill(coefficients)
            self._kernel()
            return
        ready = tuple(
            self._xp.asarray(c, self._dtype) if isinstance(c, np.ndarray) else float(c)
            for c in coefficients
        )
        for w, g, slots, scratch in self._blocks:
            self.optimizer.update(self._xp, w, g, slots, ready, scratch)

    def _bind(self, gradients: Array) -> None:
        """Cut all vectors into blocks that fit a cache."""
        size = self._weights.shape[-1]
        networks = self._weights.size // max(1, size)
        width = max(1, min(size, max(256, BLOCK // max(1, networks))))
        if self._xp is not np:  # a GPU has no such cache, but a price for every call
            width = max(1, size)
        scratch = [
            self._xp.empty((*self._stack, width), self._dtype)
            for _ in range(self.optimizer.scratch)
        ]
        self._blocks = [
            (
                self._weights[..., start : start + width],
                gradients[..., start : start + width],
                tuple(slot[..., start : start + width] for slot in self.slots.values()),
                tuple(t[..., : min(width, size - start)] for t in scratch),
            )
            for start in range(0, size, width)
        ]
        if self._kernel is not None and self._numbers is not None:
            self._kernel = self._bound(gradients, self._numbers.shape[-1])
        self._gradients = gradients

    def _start_fused(self, count: int) -> None:
        """Fuse from now on, if it can be done at all; asked once."""
        self._gain = None
        if self._gradients is not None:
            self._kernel = self._bound(self._gradients, count)

    def _bound(self, gradients: Array, count: int) -> fused.Kernel | None:
        optimizer, slots = self.optimizer, len(self.slots)

        def update(
            xp: Any, arrays: list[Stand], numbers: list[Stand], scratch: list[Stand]
        ) -> None:
            w, g, *rest = arrays
            plain: Any = optimizer.update
            plain(xp, w, g, tuple(rest), tuple(numbers), tuple(scratch))

        program = trace(update, 2 + slots, count, optimizer.scratch, consumed=(1,))
        size = self._weights.shape[-1]
        arrays = [self._weights, gradients, *self.slots.values()]
        if not all(a.flags.c_contiguous for a in arrays):
            return None
        rows = [a.reshape(-1, size) for a in arrays]
        self._numbers = np.empty((rows[0].shape[0], count), self._dtype)
        return fused.bind(program, rows, self._numbers)

    def _fill(self, coefficients: tuple[Any, ...]) -> None:
        """Write the coefficients where the kernel reads them."""
        numbers: Any = self._numbers
        if not self._stack:
            numbers[0] = coefficients
            return
        for column, value in enumerate(coefficients):
            if isinstance(value, np.ndarray):
                value = np.broadcast_to(value, (*self._stack, 1)).reshape(-1)
            numbers[:, column] = value
