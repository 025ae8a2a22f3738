"""What an optimizer is: elementwise arithmetic from gradients to new weights."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from core.family import Family
from core.nn.array import Array
from core.nn.compile.elementwise import Elementwise


class Optimizer(Family):
    """Rewrites the flat weight vector in place, from its gradient and slots.

    Every hyperparameter is one number, or one for each network of a stack: a float64 array
    `(k, 1)`. `slots` names the vectors it keeps beside the weights, all zero at first; `scratch`
    is how many vectors it needs to compute in. `update` may use only elementwise functions that
    `core.nn.compile.trace` knows, each with `out`, and branch on nothing but its own
    hyperparameters: so it can be traced and run as one pass over memory.
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
        self._fuse = fuse
        self._gradients: Array | None = None
        self._pass: Elementwise | None = None

    @property
    def fused(self) -> bool:
        """Whether updates run as one pass over memory by now."""
        return self._pass is not None and self._pass.fused

    def update(self, gradients: Array, rate: Any) -> None:
        """Move all weights once. `rate` is one number or a float64 array `(k, 1)`.

        `gradients` may be overwritten; pass the same array each time, binding another takes time.
        """
        self.step += 1
        if gradients is not self._gradients or self._pass is None:
            self._gradients, self._pass = gradients, self._bind(gradients)
        self._pass(*self.optimizer.coefficients(self.step, rate))

    def _bind(self, gradients: Array) -> Elementwise:
        def update(xp: Any, arrays: Any, numbers: Any, scratch: Any) -> None:
            w, g, *slots = arrays
            self.optimizer.update(xp, w, g, tuple(slots), tuple(numbers), tuple(scratch))

        return Elementwise(
            update,
            self._xp,
            [self._weights, gradients, *self.slots.values()],
            scratch=self.optimizer.scratch,
            consumed=(1,),
            fuse=True if self.fused else self._fuse,
        )
