"""Sigmoid linear unit."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.logits import sigmoid


@member
class Silu(Activation):
    """`y = x s` with `s = sigmoid(x)`, gradient `s + y (1 - s)`. Also known as swish.

    Elfwing, Uchibe and Doya, "Sigmoid-Weighted Linear Units" (2017).
    """

    kind: Literal["silu"] = "silu"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        s = sigmoid(x, scope, out=scope.buffer("s", x.shape))
        y = xp.multiply(x, s, out=scope.buffer("y", x.shape))

        def backprop(dy: Array) -> Array:
            dx = xp.subtract(1, s, out=scope.buffer("dx", x.shape))
            dx *= y
            dx += s
            dx *= dy
            return dx

        return y, backprop
