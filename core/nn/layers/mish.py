"""Mish."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope

LIMIT = 20.0
"""x is limited to this value in exp(x); above it the output equals x exactly."""


@member
class Mish(Activation):
    """`y = x tanh(softplus(x))`, computed with `e = exp(x)`, `n = e (e + 2)` as `x n / (n + 2)`.

    Gradient `n / (n + 2) + 4 x e (1 + e) / (n + 2)^2`. Misra, "Mish: A Self Regularized
    Non-Monotonic Activation Function" (2020).
    """

    kind: Literal["mish"] = "mish"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        e = xp.minimum(x, LIMIT, out=scope.buffer("e", x.shape))
        xp.exp(e, out=e)
        n = xp.add(e, 2, out=scope.buffer("n", x.shape))
        n *= e
        over = xp.add(n, 2, out=scope.buffer("over", x.shape))
        n /= over
        y = xp.multiply(x, n, out=scope.buffer("y", x.shape))

        def backprop(dy: Array) -> Array:
            dx = xp.add(e, 1, out=scope.buffer("dx", x.shape))
            dx /= over
            dx *= 4
            dx *= e
            dx /= over
            dx *= x
            dx += n
            dx *= dy
            return dx

        return y, backprop
