"""Softmax."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope


@member
class Softmax(Activation):
    """`y = exp(x) / sum of exp(x)` over the last axis; gradient `y (dy - sum of y dy)`.

    The maximum of x is subtracted first, so that nothing overflows.
    """

    kind: Literal["softmax"] = "softmax"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        y = xp.subtract(x, x.max(axis=-1, keepdims=True), out=scope.buffer("y", x.shape))
        xp.exp(y, out=y)
        y /= y.sum(axis=-1, keepdims=True)

        def backprop(dy: Array) -> Array:
            dx = xp.multiply(y, dy, out=scope.buffer("dx", y.shape))
            mean = dx.sum(axis=-1, keepdims=True)
            xp.subtract(dy, mean, out=dx)
            dx *= y
            return dx

        return y, backprop
