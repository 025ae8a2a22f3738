"""What a layer is: `forward` maps x to y and gives back a closure from dy to dx."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from core.family import Family
from core.nn.array import Array, Shape
from core.nn.hyperparameters import broadcast
from core.nn.initializers import Initializer

Backprop: TypeAlias = Callable[[Array], Array | None]

VIEWS = 32
"""How many shapes of its buffers a scope remembers before it starts over."""


class ShapeError(ValueError):
    """A layer cannot take the shape it is given; the message says which would fit."""


class LayerError(ShapeError):
    """A layer of a network does not fit; `path` is its place, `[2]` or `[1].layers[0]`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class Weight:
    """One named array of a layer: its shape, how it starts, and whether penalties apply to it."""

    shape: Shape
    initializer: Initializer
    fan_in: int = 1
    fan_out: int = 1
    decays: bool = True


@dataclass
class Scope:
    """All that a layer may touch while it computes: its weights, state, buffers and chance.

    Arrays in `weights`, `gradients` and `state` are views of the network's flat vectors, each of
    shape `(*stack, *weight.shape)`. `input_gradient` is False where nobody reads dx (first layer):
    backprop may then return None. `generators` holds one random generator for each network.
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
        """A reusable array with undefined content; the same name and shape give the same array.

        All shapes of one name share memory, as much as the largest needs: what another shape of
        that name held is lost. A name has one dtype.
        """
        key = (name, shape)
        found = self._views.get(key)
        if found is None:
            found = self._views[key] = self._view(name, shape, dtype or self.dtype)
        return found

    def _view(self, name: str, shape: Shape, dtype: Any) -> Array:
        size = math.prod(shape)
        store = self._stores.get(name)
        if store is None or store.size < size:
            store = self._stores[name] = self.xp.empty(size, dtype)
            self._views = {key: view for key, view in self._views.items() if key[0] != name}
        if len(self._views) >= VIEWS:
            self._views.clear()
        return store[:size].reshape(shape)

    def number(self, value: Any, trailing: int | None = None) -> Any:
        """A hyperparameter ready to meet arrays: itself, or one value a network of the stack.

        The latter arrives as a float64 array `(k, 1)` and becomes `(*stack, 1, ...)` with as many
        `trailing` axes as the batch and the features have, unless told otherwise.
        """
        trailing = 1 + len(self.shape) if trailing is None else trailing
        return broadcast(self.xp, value, self.stack, trailing, self.dtype)

    def ones(self, count: int) -> Array:
        """A row of ones `(1, count)`, to sum by a matrix product: not to be written into."""
        key = ("ones", count)
        found = self._views.get(key)
        if found is None:
            found = self._views[key] = self.xp.ones((1, count), self.dtype)
        return found

    def random(self, name: str, shape: Shape) -> Array:
        """Numbers evenly spread in [0, 1), float32, drawn for each network from its own chance.

        `shape` begins with the stack axes.
        """
        drawn = np.empty((len(self.generators), *shape[len(self.stack) :]), np.float32)
        for row, generator in zip(drawn, self.generators, strict=True):
            generator.random(out=row, dtype=np.float32)
        return self.xp.asarray(drawn.reshape(shape))


class Layer(Family):
    """A layer is its spec: a frozen set of hyperparameters that knows shapes and gradients.

    The batch axis stands before the feature axes of `shape`; whatever stands before the batch is a
    stack of independent networks. A layer never writes into x or dy.
    """

    @abstractmethod
    def output(self, shape: Shape) -> Shape:
        """The feature shape it makes of feature shape `shape`. Raises ShapeError if it cannot."""

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """What it learns when fed features of `shape`, by name."""
        return {}

    def state(self, shape: Shape) -> dict[str, Weight]:
        """What it remembers without learning it by gradient (running means, say)."""
        return {}

    def children(self, shape: Shape) -> list[tuple["Layer", Shape]]:
        """Layers inside this one, each with the feature shape that reaches it."""
        return []

    @abstractmethod
    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        """`y` of shape `(*stack, batch, *output(shape))` and backprop.

        backprop(dy) overwrites `scope.gradients` and returns dx (None if nobody reads it).
        """

    def sample(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Inputs of `shape` worth testing with: Gaussian unless the layer needs others."""
        return rng.normal(size=shape)

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator[tuple["Layer", Shape]]:
        """Members worth testing, each with a small feature shape to feed it."""
