"""Softplus."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope


@member
class Softplus(Activation):
    """`y = log(1 + exp(x))`, computed as `max(x, 0) + log1p(exp(-|x|))`; gradient sigmoid(x).

    Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option
    Pricing" (2001).
    """

    kind: Literal["softplus"] = "softplus"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        y = xp.absolute(x, out=scope.buffer("y", x.shape))
        xp.negative(y, out=y)
        xp.exp(y, out=y)
        xp.log1p(y, out=y)
        y += xp.maximum(x, 0, out=scope.buffer("dx", x.shape))

        def backprop(dy: Array) -> Array:
            dx = xp.multiply(x, 0.5, out=scope.buffer("dx", x.shape))
            xp.tanh(dx, out=dx)
            dx += 1
            dx *= 0.5
            dx *= dy
            return dx

        return y, backprop
