"""Base of layers that process a series step by step."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.initializers import Initializer, Orthogonal, Xavier, Zeros
from core.nn.layer import Backprop, Layer, Scope, ShapeError, Weight

Unroll: TypeAlias = Callable[[Array], tuple[Array, Array]]
"""Maps the gradients of all states to those of the recurrent and of the input products."""


@member
class Recurrent(Layer):
    """Reads a series `(time, features)`; returns the last state, or all with `return_sequences`.

    Weights: `weight (features, gates units)` for the input, `recurrent (units, gates units)` for
    the previous state, `bias (gates units)`. One product multiplies the inputs of all steps. Arrays
    inside are `(*stack, time, units, batch)`, so that each gate of each step is contiguous.
    Backpropagation through time: Werbos, "Backpropagation Through Time" (1990).
    """

    gates: ClassVar[int]

    units: Annotated[int, Ge(1), Le(100_000)]
    return_sequences: bool = False
    weight_initializer: Initializer = Xavier()
    recurrent_initializer: Initializer = Orthogonal()
    bias_initializer: Initializer = Zeros()
    EXAMPLES: ClassVar[Examples] = (
        ({"units": 3}, (4, 2)),
        ({"units": 2, "return_sequences": True}, (3, 3)),
        ({"units": 1}, (1, 1)),
    )

    @abstractmethod
    def unroll(self, gates: Array, states: Array, scope: Scope) -> Unroll:
        """Compute all steps: fill `states[1:]` from `states[0] = 0` and the input products `gates`.

        `gates` is `(*stack, time, gates units, batch)` and may be overwritten; `states` is
        `(*stack, time + 1, units, batch)`.
        """

    def output(self, shape: Shape) -> Shape:
        if len(shape) != 2 or not shape[0]:
            raise ShapeError(f"{self.kind} expects a series of shape (time, features), got {shape}")
        return (shape[0], self.units) if self.return_sequences else (self.units,)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        width, units = self.gates * self.units, self.units
        first, again = (shape[-1], units), (units, units)
        return {
            "weight": Weight((shape[-1], width), self.weight_initializer, *first),
            "recurrent": Weight((units, width), self.recurrent_initializer, *again),
            "bias": Weight((width,), self.bias_initializer, *first, decays=False),
        }

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp, stack = scope.xp, scope.stack
        *_, batch, time, features = x.shape
        weight, bias = scope.weights["weight"], scope.weights["bias"]
        width = self.gates * self.units
        gates = scope.buffer("gates", (*stack, time, width, batch))
        by_step = xp.moveaxis(x, -3, -1)
        if stack:  # one matrix for all steps of a network
            weight = weight[..., None, :, :]
            bias = bias[..., None, :]
        xp.matmul(weight.swapaxes(-1, -2), by_step, out=gates)
        gates += bias[..., None]
        states = scope.buffer("states", (*stack, time + 1, self.units, batch))
        states[..., 0, :, :] = 0
        with np.errstate(over="ignore"):  # an infinite exp(x) closes the gate
            back_through_time = self.unroll(gates, states, scope)
        if self.return_sequences:
            y = xp.moveaxis(states[..., 1:, :, :], -1, -3)
        else:
            y = states[..., -1, :, :].swapaxes(-1, -2)

        def backprop(dy: Array) -> Array | None:
            passed = scope.buffer("passed", (*stack, time, self.units, batch))
            if self.return_sequences:
                passed[...] = xp.moveaxis(dy, -3, -1)
            else:
                passed[..., :-1, :, :] = 0
                passed[..., -1, :, :] = dy.swapaxes(-1, -2)
            recurrent, given = back_through_time(passed)
            self._weight_gradients(x, states, recurrent, given, scope)
            if not scope.input_gradient:
                return None
            out = scope.buffer("dx", (*stack, time, features, batch))
            dx = xp.matmul(weight, given, out=out)
            return xp.moveaxis(dx, -1, -3)

        return y, backprop

    def _weight_gradients(
        self, x: Array, states: Array, recurrent: Array, given: Array, scope: Scope
    ) -> None:
        """Write the gradients of all weights, each as one product over all steps."""
        xp, gradients = scope.xp, scope.gradients
        before = _by_unit("before", states[..., :-1, :, :], scope)
        columns = _by_unit("columns", recurrent, scope)
        xp.matmul(before, columns.swapaxes(-1, -2), out=gradients["recurrent"])
        if given is not recurrent:
            columns = _by_unit("columns", given, scope)
        fed = _by_unit("fed", xp.moveaxis(x, -3, -1), scope)
        xp.matmul(fed, columns.swapaxes(-1, -2), out=gradients["weight"])
        xp.sum(columns, axis=-1, out=gradients["bias"])


def _by_unit(name: str, steps: Array, scope: Scope) -> Array:
    """Copy `(*stack, time, n, batch)` to `(*stack, n, time batch)`."""
    *stack, time, n, batch = steps.shape
    out = scope.buffer(name, (*stack, n, time, batch))
    out[...] = steps.swapaxes(-3, -2)
    return out.reshape(*stack, n, time * batch)


def transposed(name: str, weight: Array, scope: Scope) -> Array:
    """Copy a recurrent weight `(*stack, units, n)` to a writable `(*stack, n, units)`."""
    shape: Any = (*weight.shape[:-2], weight.shape[-1], weight.shape[-2])
    out = scope.buffer(name, shape)
    out[...] = weight.swapaxes(-1, -2)
    return out
