"""Logistic sigmoid."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.logits import sigmoid


@member
class Sigmoid(Activation):
    """`y = 1 / (1 + exp(-x))`, gradient `y (1 - y)`.

    Computed as `(1 + tanh(x / 2)) / 2`, which does not overflow.
    """

    kind: Literal["sigmoid"] = "sigmoid"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        y = sigmoid(x, scope, out=scope.buffer("y", x.shape))

        def backprop(dy: Array) -> Array:
            dx = xp.subtract(1, y, out=scope.buffer("dx", y.shape))
            dx *= y
            dx *= dy
            return dx

        return y, backprop
