"""Regularization: penalties on weights and bounds on gradients, applied around each update."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt

from core.nn.array import Array
from core.nn.compile.elementwise import Elementwise
from core.nn.hyperparameters import broadcast
from core.nn.network import BoundNetwork


@dataclass(frozen=True, kw_only=True)
class Regularization:
    """Penalties on weights and bounds on gradients; none by default.

    `l1` adds `l1 sum |w|` to the loss and `l2` adds `l2 / 2 sum w^2`; their gradients are applied,
    but the reported loss does not include them. `weight_decay` subtracts `rate weight_decay w` in
    each update (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019). These three
    do not apply to biases and other weights that do not decay.

    `clip_value` limits the absolute value of each gradient, `clip_norm` the norm of the gradient of
    each weight array, `clip_global_norm` the norm of all gradients (Pascanu, Mikolov and Bengio,
    "On the Difficulty of Training Recurrent Neural Networks", 2013, algorithm 1), in this order.
    `max_norm` limits the norm of the weights of each unit after the update (Srivastava et al.,
    "Dropout", 2014, section 5.1).
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    l1: Annotated[float, Ge(0)] = 0.0
    l2: Annotated[float, Ge(0)] = 0.0
    weight_decay: Annotated[float, Ge(0)] = 0.0
    max_norm: Annotated[float, Gt(0)] | None = None
    clip_value: Annotated[float, Gt(0)] | None = None
    clip_norm: Annotated[float, Gt(0)] | None = None
    clip_global_norm: Annotated[float, Gt(0)] | None = None


class Regularizer:
    """Applies a regularization to the weights and gradients of a network.

    Call `before(rate)`, then update the weights, then call `after()`. Each number may be a float64
    array `(k, 1)` with one number per network of a stack.
    """

    def __init__(
        self, regularization: Regularization, network: BoundNetwork, *, fuse: bool | None = None
    ) -> None:
        self.regularization = chosen = regularization
        self._network = network
        self._xp = network.xp
        spans = _spans(network)
        weights = [network.weights[..., part] for part in spans]
        gradients = [network.gradients[..., part] for part in spans]
        self._penalties = [
            Elementwise(_penalize, self._xp, (g, w), scratch=1, fuse=fuse)
            for g, w in zip(gradients, weights, strict=True)
            if np.any(chosen.l1) or np.any(chosen.l2)
        ]
        self._decays = [
            Elementwise(_shrink, self._xp, (w,), fuse=fuse)
            for w in weights
            if np.any(chosen.weight_decay)
        ]
        self._clips = [
            Elementwise(_clip, self._xp, (network.gradients,), fuse=fuse)
            for _ in range(chosen.clip_value is not None)
        ]
        self._decaying = weights
        bounds = (chosen.max_norm, chosen.clip_value, chosen.clip_norm, chosen.clip_global_norm)
        self.active = bool(self._penalties or self._decays or any(b is not None for b in bounds))
        """Whether `before` and `after` change anything."""

    def before(self, rate: Any) -> None:
        """Add the gradients of penalties, clip, and decay the weights at learning rate `rate`."""
        chosen, gradients = self.regularization, self._network.gradients
        limit: Any = chosen.clip_value
        for penalize in self._penalties:
            penalize(chosen.l1, chosen.l2)
        for clip in self._clips:
            clip(-limit, limit)
        if chosen.clip_norm is not None:
            for name in self._network.layout:
                self._bound(self._network.gradient_views[name], chosen.clip_norm)
        if chosen.clip_global_norm is not None:
            self._bound(gradients, chosen.clip_global_norm)
        for shrink in self._decays:
            shrink(1 - rate * chosen.weight_decay)

    def after(self) -> None:
        """Scale the weights of each unit down to `max_norm`."""
        limit = self.regularization.max_norm
        if limit is None:
            return
        for name, weight in self._network.layout.items():
            if weight.decays and len(weight.shape) > 1:
                self._bound(self._network.views[name], limit, units=1)

    def penalty(self) -> Array:
        """Return the L1 and L2 penalties of the current weights, shape `stack`."""
        xp, stack = self._xp, self._network.stack
        total = xp.zeros((*stack, 1), self._network.dtype)
        for w in self._decaying:
            total += self._number(self.regularization.l1, 1) * _sum(xp.abs(w))
            total += self._number(self.regularization.l2 * 0.5, 1) * _sum(w * w)
        return total[..., 0]

    def _bound(self, array: Array, limit: Any, units: int = 0) -> None:
        """Limit the norm of `array`, over all but the last `units` axes, to `limit` in place."""
        axes = array.ndim - len(self._network.stack)
        norm = self._norm(array, units)
        limit = self._number(limit, axes)
        array *= limit / self._xp.maximum(norm, limit)

    def _norm(self, array: Array, units: int) -> Array:
        """The root of the sum of squares, in a shape that broadcasts against `array`."""
        stack = self._network.stack
        kept = array.shape[array.ndim - units :]
        square = (array * array).reshape(*stack, -1, *kept)
        norm = self._xp.sqrt(square.sum(axis=len(stack)))
        return norm.reshape(*stack, *(1,) * (array.ndim - len(stack) - units), *kept)

    def _number(self, value: Any, trailing: int) -> Any:
        return broadcast(self._xp, value, self._network.stack, trailing, self._network.dtype)


class Averaging:
    """An exponential moving average of weights: `a = decay a + (1 - decay) w` after each update.

    It starts at the given weights. `values` is the average, writable to restore a state. Polyak and
    Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992), with a decay as in
    Tarvainen and Valpola, "Mean Teachers" (2017).
    """

    def __init__(self, weights: Array, xp: Any, decay: Any, *, fuse: bool | None = None) -> None:
        self.values: Array = weights.copy()
        self._decay = decay
        self._pass = Elementwise(_average, xp, (self.values, weights), scratch=1, fuse=fuse)

    def update(self) -> None:
        """Update the average with the current weights."""
        self._pass(self._decay, 1 - self._decay)


def _penalize(xp: Any, arrays: Any, numbers: Any, scratch: Any) -> None:
    (g, w), (l1, l2), (change,) = arrays, numbers, scratch
    xp.sign(w, out=change)
    change *= l1
    g += change
    xp.multiply(w, l2, out=change)
    g += change


def _shrink(_: Any, arrays: Any, numbers: Any, scratch: Any) -> None:
    (w,), (kept,), () = arrays, numbers, scratch
    w *= kept


def _clip(xp: Any, arrays: Any, numbers: Any, scratch: Any) -> None:
    (g,), (low, high), () = arrays, numbers, scratch
    xp.maximum(g, low, out=g)
    xp.minimum(g, high, out=g)


def _average(xp: Any, arrays: Any, numbers: Any, scratch: Any) -> None:
    (average, w), (decay, rest), (part,) = arrays, numbers, scratch
    average *= decay
    xp.multiply(w, rest, out=part)
    average += part


def _sum(array: Array) -> Array:
    return array.sum(axis=-1, keepdims=True)


def _spans(network: BoundNetwork) -> list[slice]:
    """The slices of the flat vector whose weights decay; adjacent ones are joined."""
    spans: list[slice] = []
    start = 0
    for weight in network.layout.values():
        stop = start + int(np.prod(weight.shape))
        if weight.decays and stop > start:
            if spans and spans[-1].stop == start:
                spans[-1] = slice(spans[-1].start, stop)
            else:
                spans.append(slice(start, stop))
        start = stop
    return spans
