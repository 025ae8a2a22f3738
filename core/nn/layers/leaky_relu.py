"""Leaky rectified linear unit."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope


@member
class LeakyRelu(Activation):
    """`y = max(x, 0) + slope min(x, 0)`, gradient 1 above 0 and `slope` below.

    Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models" (2013).
    """

    kind: Literal["leaky_relu"] = "leaky_relu"
    slope: Annotated[float, Ge(0), Le(1)] = 0.01

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp, slope = scope.xp, scope.number(self.slope)
        y = xp.multiply(x, slope, out=scope.buffer("y", x.shape))
        xp.maximum(y, x, out=y)

        def backprop(dy: Array) -> Array:
            above = xp.greater(x, 0, out=scope.buffer("above", x.shape, bool))
            dx = xp.multiply(dy, slope, out=scope.buffer("dx", x.shape))
            xp.copyto(dx, dy, where=above)
            return dx

        return y, backprop
