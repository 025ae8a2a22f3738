"""Rectified linear unit."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope

SMALL = 4096
"""Up to this many numbers, `sign` is faster than a comparison; the results are bit-identical."""


@member
class Relu(Activation):
    """`y = max(x, 0)`, gradient 1 above 0.

    Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines" (2010).
    """

    kind: Literal["relu"] = "relu"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        y = xp.maximum(x, 0, out=scope.buffer("y", x.shape))

        def backprop(dy: Array) -> Array:
            dx = scope.buffer("dx", y.shape)
            if y.size <= SMALL:
                xp.sign(y, out=dx)
                return xp.multiply(dx, dy, out=dx)
            above = xp.greater(y, 0, out=scope.buffer("above", y.shape, bool))
            return xp.multiply(dy, above, out=dx)

        return y, backprop
