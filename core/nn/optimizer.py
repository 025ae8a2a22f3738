"""The optimizer interface: elementwise arithmetic from gradients to new weights."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from core.family import Family
from core.nn.array import Array, Arrays
from core.nn.compile.elementwise import Elementwise
from core.nn.hyperparameters import Numbers


class Optimizer(Family):
    """Base of optimizers: updates the flat weight vector in place from its gradient and slots.

    A hyperparameter is one number, or a float64 array `(k, 1)` with one number per network of a
    stack. `slots` names the state vectors, initially zero; `scratch` is the number of temporary
    vectors. `update` is traced and compiled to one pass over memory, so it uses only functions that
    `core.nn.compile.trace` supports, each with `out`, and branches only on hyperparameters.
    """

    scratch: ClassVar[int] = 1
    learning_rate: Any

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state vectors that its hyperparameters need."""
        return ()

    @abstractmethod
    def coefficients(self, step: int, rate: Any) -> Numbers:
        """Return the float64 numbers of update `step`, from 1, at learning rate `rate`."""

    @abstractmethod
    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        """Update a block of weights `w` in place; may overwrite the gradient `g`."""

    @classmethod
    def examples(cls) -> Iterator[Self]:
        """Yield members to test."""
        return (cls(**fields) for fields in cls.EXAMPLES)


class Updater:
    """Applies an optimizer to the flat vectors of a network.

    `weights` is `(*stack, size)`; `slots` maps names to vectors of the same shape, writable to
    restore a state. On a CPU the update is compiled to one pass over memory once that saves time
    (`fuse=True`: from the first update; `False`: never). The results are bit-identical.
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
        """Whether updates are compiled to one pass over memory."""
        return self._pass is not None and self._pass.fused

    def update(self, gradients: Array, rate: Any) -> None:
        """Update all weights once. `rate` is one number or a float64 array `(k, 1)`.

        May overwrite `gradients`. Pass the same array each time: binding another one takes time.
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
