"""Hyperbolic tangent."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope


@member
class Tanh(Activation):
    """`y = tanh(x)`, gradient `1 - y^2`."""

    kind: Literal["tanh"] = "tanh"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        y = xp.tanh(x, out=scope.buffer("y", x.shape))

        def backprop(dy: Array) -> Array:
            dx = xp.multiply(y, y, out=scope.buffer("dx", y.shape))
            xp.subtract(1, dx, out=dx)
            dx *= dy
            return dx

        return y, backprop
