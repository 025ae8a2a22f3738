"""Softsign."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope


@member
class Softsign(Activation):
    """`y = x / (1 + |x|)`, gradient `1 / (1 + |x|)^2`.

    Bergstra et al., "Quadratic Polynomials Learn Better Image Features" (2009).
    """

    kind: Literal["softsign"] = "softsign"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        over = xp.absolute(x, out=scope.buffer("over", x.shape))
        over += 1
        y = xp.divide(x, over, out=scope.buffer("y", x.shape))

        def backprop(dy: Array) -> Array:
            dx = xp.divide(dy, over, out=scope.buffer("dx", x.shape))
            dx /= over
            return dx

        return y, backprop
