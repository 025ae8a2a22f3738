"""What an optimizer is: elementwise arithmetic from gradients to new weights."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from core.family import Family
from core.nn.array import Array

BLOCK = 16_384
"""Weights updated at a time: with gradient, slots and scratch they fit a core's own cache."""


class Optimizer(Family):
    """Rewrites the flat weight vector in place, from its gradient and slots.

    Every hyperparameter is one number, or one for each network of a stack: a float64 array
    `(k, 1)`. `slots` names the vectors it keeps beside the weights, all zero at first; `scratch`
    is how many vectors it needs to compute in.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    scratch: ClassVar[int] = 1
    learning_rate: Any

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


def power(base: Any, exponent: int) -> Any:
    """`base ** exponent`, the same bits for one number as for one number of an array."""
    if isinstance(base, np.ndarray):
        return np.array([float(b) ** exponent for b in base.flat]).reshape(base.shape)
    return base**exponent


class Updater:
    """Runs an optimizer over the flat vectors of a network, block by block.

    `weights` is `(*stack, size)`; `slots` maps names to vectors of the same shape.
    """

    def __init__(self, optimizer: Optimizer, xp: Any, weights: Array) -> None:
        self.optimizer = optimizer
        self.step = 0
        self.slots = {name: xp.zeros_like(weights) for name in optimizer.slots}
        self._xp = xp
        self._weights = weights
        size = weights.shape[-1]
        networks = weights.size // max(1, size)
        width = max(1, min(size, max(256, BLOCK // max(1, networks))))
        self._scratch = tuple(
            xp.empty((*weights.shape[:-1], width), weights.dtype) for _ in range(optimizer.scratch)
        )
        self._blocks = [(start, min(size, start + width)) for start in range(0, size, width)]

    def update(self, gradients: Array, rate: Any) -> None:
        """Move all weights once. `rate` is one number or a float64 array `(k, 1)`."""
        self.step += 1
        dtype = self._weights.dtype
        coefficients = tuple(
            self._xp.asarray(c, dtype) if isinstance(c, np.ndarray) else c
            for c in self.optimizer.coefficients(self.step, rate)
        )
        slots = tuple(self.slots.values())
        for start, stop in self._blocks:
            part = (..., slice(start, stop))
            self.optimizer.update(
                self._xp,
                self._weights[part],
                gradients[part],
                tuple(slot[part] for slot in slots),
                coefficients,
                tuple(t[..., : stop - start] for t in self._scratch),
            )
