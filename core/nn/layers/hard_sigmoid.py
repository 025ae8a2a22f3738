"""Hard sigmoid."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope


@member
class HardSigmoid(Activation):
    """`y = min(max(x / 6 + 1/2, 0), 1)`, gradient 1/6 between -3 and 3.

    A piecewise linear approximation of the sigmoid: Courbariaux et al., "BinaryConnect" (2015),
    with the slope of Howard et al., "Searching for MobileNetV3" (2019).
    """

    kind: Literal["hard_sigmoid"] = "hard_sigmoid"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        y = xp.multiply(x, 1 / 6, out=scope.buffer("y", x.shape))
        y += 0.5
        xp.maximum(y, 0, out=y)
        xp.minimum(y, 1, out=y)

        def backprop(dy: Array) -> Array:
            within = xp.greater(y, 0, out=scope.buffer("within", y.shape, bool))
            within &= xp.less(y, 1, out=scope.buffer("below", y.shape, bool))
            dx = xp.multiply(dy, within, out=scope.buffer("dx", y.shape))
            dx *= 1 / 6
            return dx

        return y, backprop
