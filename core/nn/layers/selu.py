"""Scaled exponential linear unit."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope

ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946


@member
class Selu(Activation):
    """`y = scale x` above 0, `scale alpha (exp(x) - 1)` below: preserves mean 0 and variance 1.

    `scale` and `alpha` are the fixed point of Klambauer et al., "Self-Normalizing Neural Networks"
    (2017), equation 14. Use it with the initializer `lecun`.
    """

    kind: Literal["selu"] = "selu"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        y = xp.minimum(x, 0, out=scope.buffer("y", x.shape))
        xp.expm1(y, out=y)
        y *= SCALE * ALPHA
        y += xp.multiply(
            xp.maximum(x, 0, out=scope.buffer("dx", x.shape)),
            SCALE,
            out=scope.buffer("dx", x.shape),
        )

        def backprop(dy: Array) -> Array:
            dx = xp.add(y, SCALE * ALPHA, out=scope.buffer("dx", y.shape))
            above = xp.greater(x, 0, out=scope.buffer("above", x.shape, bool))
            xp.copyto(dx, SCALE, where=above)
            dx *= dy
            return dx

        return y, backprop
