"""A network is a sequence of layers; bound to an input shape, it has weights in one flat vector."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from operator import attrgetter
from typing import Annotated, Any

import numpy as np
from annotated_types import Len

import core.nn.layers  # noqa: F401  (the members register themselves)
from core.nn.array import Array, Shape, generators
from core.nn.initializers import Initializer
from core.nn.layer import Layer, LayerError, Scope, ShapeError, Weight

__all__ = ["BoundNetwork", "LayerError", "Network", "PlacedLayer"]

INITIAL, RANDOM = 1, 2
"""Purposes of a seed: initial weights, and random numbers inside layers (dropout)."""


@dataclass(frozen=True)
class PlacedLayer:
    """A layer of a network, its path such as `[1].layers[0]`, and its input feature shape."""

    path: str
    layer: Layer
    shape: Shape


MAX_LAYERS = 256
"""Most layers of a network; layers inside other layers do not count."""


@dataclass(frozen=True)
class Network:
    """A sequence of layers, without weights. In JSON it is the list of its layers."""

    layers: tuple[Layer, ...]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Validate a list of 1 to `MAX_LAYERS` layers, or a network; serialize to the list."""
        layers = handler.generate_schema(Annotated[tuple[Layer, ...], Len(1, MAX_LAYERS)])

        def validate(given: Any, validate_layers: Callable[[Any], Any]) -> Network:
            return given if isinstance(given, cls) else cls(validate_layers(given))

        return {
            "type": "function-wrap",
            "function": {"type": "no-info", "function": validate},
            "schema": layers,
            "serialization": {
                "type": "function-plain",
                "function": attrgetter("layers"),
                "return_schema": layers,
            },
        }

    def output(self, shape: Shape) -> Shape:
        """Return the output feature shape for inputs of `shape`. Raises LayerError."""
        return self._walk(shape)[1]

    @property
    def unlimited(self) -> bool:
        """Whether the outputs can be any numbers, not only those of a last activation."""
        reaches = (layer.reach for layer in reversed(self.layers) if layer.reach != "input")
        return next(reaches, "limited") == "any"

    def places(self, shape: Shape) -> list[PlacedLayer]:
        """Return all layers, nested ones included, with their input shapes. Raises LayerError."""
        return self._walk(shape)[0]

    def size(self, shape: Shape) -> int:
        """Return the number of weights; allocates nothing. Raises LayerError."""
        return sum(
            int(np.prod(weight.shape, dtype=object))
            for place in self.places(shape)
            for weight in place.layer.weights(place.shape).values()
        )

    def _walk(self, shape: Shape) -> tuple[list[PlacedLayer], Shape]:
        placed: list[PlacedLayer] = []
        for index, layer in enumerate(self.layers):
            path = f"[{index}]"
            try:
                out = layer.output(shape)
            except LayerError as error:
                raise LayerError(path + error.path, str(error)) from None
            except ShapeError as error:
                raise LayerError(path, str(error)) from None
            placed.extend(_nested(path, layer, shape))
            shape = out
        return placed, shape


def for_network(initializer: Initializer, network: int) -> Initializer:
    """Return the initializer of one network of a stack, with a number for each array."""
    own = {
        field.name: float(value.reshape(-1)[network])
        for field in fields(initializer)
        if isinstance(value := getattr(initializer, field.name), np.ndarray)
    }
    return replace(initializer, **own) if own else initializer


def _nested(path: str, layer: Layer, shape: Shape) -> Iterator[PlacedLayer]:
    yield PlacedLayer(path, layer, shape)
    for index, (child, child_shape) in enumerate(layer.children(shape)):
        yield from _nested(f"{path}.layers[{index}]", child, child_shape)


class BoundNetwork:
    """A network, or a stack of networks, with weights for inputs of one feature shape.

    `weights`, `gradients` and `state` are flat vectors `(*stack, size)`. `views`, `gradient_views`
    and `state_views` map names such as `[0].weight` to views `(*stack, *shape)` of their parts.
    """

    def __init__(
        self, network: Network, shape: Shape, *, stack: Shape, xp: Any, dtype: Any
    ) -> None:
        self.network = network
        self.shape = shape
        self.stack = stack
        self.xp = xp
        self.dtype = np.dtype(dtype)
        self.places = network.places(shape)
        self.output_shape = network.output(shape)
        self.layout: dict[str, Weight] = {
            f"{place.path}.{name}": weight
            for place in self.places
            for name, weight in place.layer.weights(place.shape).items()
        }
        self.state_layout: dict[str, Weight] = {
            f"{place.path}.{name}": weight
            for place in self.places
            for name, weight in place.layer.state(place.shape).items()
        }
        self.weights = self._flat(self.layout)
        self.gradients = self._flat(self.layout)
        self.state = self._flat(self.state_layout)
        self.views = self._views(self.weights, self.layout)
        self.gradient_views = self._views(self.gradients, self.layout)
        self.state_views = self._views(self.state, self.state_layout)
        self.scopes = self._scopes()

    def initialize(self, seeds: Sequence[int]) -> None:
        """Initialize weights, state and random generators of each network from its seed."""
        for views, layout in ((self.views, self.layout), (self.state_views, self.state_layout)):
            initial = generators(seeds, INITIAL)
            for name, weight in layout.items():
                for network, rng in enumerate(initial):  # one at a time, to save memory
                    first = for_network(weight.initializer, network).draw(
                        rng, weight.shape, weight.fan_in, weight.fan_out
                    )
                    place: Any = (
                        (*np.unravel_index(network, self.stack), ...) if self.stack else ...
                    )
                    views[name][place] = self.xp.asarray(first.astype(self.dtype))
        random = generators(seeds, RANDOM)
        for scope in self.all_scopes():
            scope.generators = random

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Any]:
        """Return outputs `(*stack, batch, *output_shape)`, and backprop.

        The outputs are a reused buffer, which the next call overwrites. `backprop(dy)` fills
        `gradients` and returns dx, or None if no layer needs it.
        """
        steps = []
        for layer, scope in zip(self.network.layers, self.scopes, strict=True):
            scope.training = training
            x, backprop = layer.forward(x, scope)
            steps.append(backprop)

        def backward(dy: Array | None) -> Array | None:
            for step in reversed(steps):
                if dy is None:
                    break
                dy = step(dy)
            return dy

        return x, backward

    def outputs(self, x: Array) -> Iterator[tuple[str, Array]]:
        """Yield the path and output of each layer; the outputs are reused buffers."""
        for index, (layer, scope) in enumerate(zip(self.network.layers, self.scopes, strict=True)):
            scope.training = False
            x, _ = layer.forward(x, scope)
            yield f"[{index}]", x

    @cached_property
    def numbers_per_row(self) -> int:
        """How many numbers the input and the outputs of all layers have for one row."""
        outputs = (math.prod(place.layer.output(place.shape)) for place in self.places)
        return math.prod(self.shape) + sum(outputs)

    @cached_property
    def work_per_row(self) -> int:
        """About how many multiplications one row takes."""
        return sum(place.layer.work(place.shape) for place in self.places)

    def release_buffers(self, most_bytes: int = 0) -> None:
        """Give the memory of the buffers back if it is more than `most_bytes`."""
        scopes = list(self.all_scopes())
        if sum(scope.buffer_bytes for scope in scopes) > most_bytes:
            for scope in scopes:
                scope.release_buffers()

    def _flat(self, layout: dict[str, Weight]) -> Array:
        size = sum(int(np.prod(weight.shape)) for weight in layout.values())
        flat: Array = self.xp.zeros((*self.stack, size), self.dtype)
        return flat

    def _views(self, flat: Array, layout: dict[str, Weight]) -> dict[str, Array]:
        views, start = {}, 0
        for name, weight in layout.items():
            stop = start + int(np.prod(weight.shape))
            views[name] = flat[..., start:stop].reshape(*self.stack, *weight.shape)
            start = stop
        return views

    def _scopes(self) -> list[Scope]:
        """The scopes of the outer layers; the first that learns computes no input gradient."""
        by_path = {place.path: self._scope(place) for place in self.places}
        top: list[Scope] = []
        for path, scope in by_path.items():
            parent = path.rpartition(".layers")[0]
            (by_path[parent].children if parent else top).append(scope)
        if top:
            learning = [bool(s.weights or s.children) for s in top]
            start = learning.index(True) if True in learning else len(top) - 1
            top[start].input_gradient = bool(top[start].children)
        return top

    def _scope(self, place: PlacedLayer) -> Scope:
        def own(views: dict[str, Array], names: Any) -> dict[str, Array]:
            return {name: views[f"{place.path}.{name}"] for name in names}

        learned = place.layer.weights(place.shape)
        return Scope(
            xp=self.xp,
            dtype=self.dtype,
            stack=self.stack,
            shape=place.shape,
            weights=own(self.views, learned),
            gradients=own(self.gradient_views, learned),
            state=own(self.state_views, place.layer.state(place.shape)),
        )

    def all_scopes(self) -> Iterator[Scope]:
        """Yield the scopes of all layers, nested ones included."""
        waiting = list(self.scopes)
        while waiting:
            scope = waiting.pop()
            yield scope
            waiting.extend(scope.children)

    @property
    def generators(self) -> list[np.random.Generator]:
        """The random generator of each network, shared by its layers."""
        return self.scopes[0].generators
