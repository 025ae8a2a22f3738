"""The layer interface: `forward` maps x to y and returns a closure that maps dy to dx."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from core.family import Family
from core.nn.array import Array, Shape
from core.nn.hyperparameters import broadcast
from core.nn.initializers import Initializer

Reach: TypeAlias = Literal["any", "input", "limited"]
"""Which numbers the outputs of a layer can be: any, any if its inputs can, or not all."""

Backprop: TypeAlias = Callable[[Array], Array | None]

MOST_UNITS = 1_000_000
"""Most units of a dense layer."""

VIEWS = 32
"""Buffer shapes that a scope caches; the cache is cleared when it is full."""


class ShapeError(ValueError):
    """A layer cannot process a shape; the message says which shape is expected."""


class LayerError(ShapeError):
    """ShapeError of one layer of a network; `path` locates it, as `[2]` or `[1].layers[0]`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class Weight:
    """Specification of one array of a layer: its shape and initializer.

    Penalties and weight decay apply to it if `decays`.
    """

    shape: Shape
    initializer: Initializer
    fan_in: int = 1
    fan_out: int = 1
    decays: bool = True


@dataclass
class Scope:
    """Everything a layer uses while it computes: weights, state, buffers and random generators.

    Arrays in `weights`, `gradients` and `state` are views of the network's flat vectors, each of
    shape `(*stack, *weight.shape)`. `input_gradient` is False if dx is not needed (first layer);
    backprop may then return None. `generators` holds one random generator per network.
    """

    xp: ModuleType
    dtype: np.dtype[Any]
    stack: Shape
    shape: Shape
    weights: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    children: list["Scope"] = field(default_factory=list)
    generators: list[np.random.Generator] = field(default_factory=list)
    training: bool = False
    input_gradient: bool = True
    _stores: dict[str, Array] = field(default_factory=dict)
    _views: dict[Any, Array] = field(default_factory=dict)

    def buffer(self, name: str, shape: Shape, dtype: Any = None) -> Array:
        """Return a reusable array with undefined content, the same for the same name and shape.

        All shapes of one name share the memory of the largest, so writing one overwrites the
        others. A name has one dtype.
        """
        key = (name, shape)
        array = self._views.get(key)
        if array is None:
            array = self._views[key] = self._view(name, shape, dtype or self.dtype)
        return array

    def _view(self, name: str, shape: Shape, dtype: Any) -> Array:
        size = math.prod(shape)
        store = self._stores.get(name)
        if store is None or store.size < size:
            store = self._stores[name] = self.xp.empty(size, dtype)
            self._views = {key: view for key, view in self._views.items() if key[0] != name}
        if len(self._views) >= VIEWS:
            self._views.clear()
        return store[:size].reshape(shape)

    @property
    def buffer_bytes(self) -> int:
        """The memory of the buffers."""
        return sum(int(store.nbytes) for store in self._stores.values())

    def release_buffers(self) -> None:
        """Give the memory of the buffers back; what they hold is lost."""
        self._stores.clear()
        self._views.clear()

    def number(self, value: Any, trailing: int | None = None) -> Any:
        """Return a hyperparameter in a shape that broadcasts against arrays of this scope.

        A plain number is returned as it is. An array `(k, 1)`, one value per network, becomes
        `(*stack, 1, ...)` with `trailing` axes, by default one for the batch and each feature axis.
        """
        trailing = 1 + len(self.shape) if trailing is None else trailing
        return broadcast(self.xp, value, self.stack, trailing, self.dtype)

    def ones(self, count: int) -> Array:
        """Return a row of ones `(1, count)` for sums by matrix product. Read-only."""
        key = ("ones", count)
        ones = self._views.get(key)
        if ones is None:
            ones = self._views[key] = self.xp.ones((1, count), self.dtype)
        return ones

    def random(self, shape: Shape) -> Array:
        """Return float32 numbers, uniform in [0, 1), each network's from its own generator.

        `shape` begins with the stack axes.
        """
        drawn = np.empty((len(self.generators), *shape[len(self.stack) :]), np.float32)
        for row, generator in zip(drawn, self.generators, strict=True):
            generator.random(out=row, dtype=np.float32)
        return self.xp.asarray(drawn.reshape(shape))


class Layer(Family):
    """Base of layers. A layer is its own spec: its fields are its hyperparameters.

    The axes of x are the stack of independent networks, the batch, then the feature axes `shape`.
    A layer never writes into x or dy.
    """

    reach: ClassVar[Reach] = "limited"

    @classmethod
    def in_full(cls, given: Any) -> Any:
        """Return the full form of a short form: a number is that of the units of a dense layer."""
        if isinstance(given, int | float) and not isinstance(given, bool):
            return {"kind": "dense", "units": given}
        return super().in_full(given)

    @classmethod
    def short_forms(cls) -> list[dict[str, Any]]:
        return [*super().short_forms(), {"type": "integer", "minimum": 1, "maximum": MOST_UNITS}]

    @abstractmethod
    def output(self, shape: Shape) -> Shape:
        """Return the output feature shape for inputs of `shape`. Raises ShapeError."""

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return the weights for inputs of feature shape `shape`, by name."""
        return {}

    def state(self, shape: Shape) -> dict[str, Weight]:
        """Return the arrays it updates without gradients, such as running means, by name."""
        return {}

    def work(self, shape: Shape) -> int:
        """Return about how many multiplications one row takes: each weight at each position.

        A position is a pixel or a step of the input or the output.
        """
        weights = sum(math.prod(weight.shape) for weight in self.weights(shape).values())
        return weights * max(math.prod(place[:-1]) for place in (shape, self.output(shape)))

    def children(self, shape: Shape) -> list[tuple["Layer", Shape]]:
        """Return the layers inside this one, each with the feature shape of its input."""
        return []

    @abstractmethod
    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        """Return y of shape `(*stack, batch, *output(shape))`, and backprop.

        `backprop(dy)` overwrites `scope.gradients` and returns dx, or None if it is not needed.
        """

    def sample(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Return inputs of `shape` for tests: Gaussian unless the layer needs others."""
        return rng.normal(size=shape)

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, Shape]]:
        """Yield members to test, each with a small input feature shape."""
        return ((cls(**fields), shape) for fields, shape in cls.EXAMPLES)
