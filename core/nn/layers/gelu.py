"""Gaussian error linear unit."""

import math
from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope

ROOT = math.sqrt(2 / math.pi)
CUBIC = 0.044715


@member
class Gelu(Activation):
    """`y = x (1 + t) / 2` with `t = tanh(sqrt(2 / pi) (x + 0.044715 x^3))`.

    The tanh approximation of x times the Gaussian distribution function, accurate to 0.0005.
    Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)" (2016), section 2.
    """

    kind: Literal["gelu"] = "gelu"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        square = xp.multiply(x, x, out=scope.buffer("square", x.shape))
        t = xp.multiply(square, CUBIC * ROOT, out=scope.buffer("t", x.shape))
        t += ROOT
        t *= x
        xp.tanh(t, out=t)
        y = xp.add(t, 1, out=scope.buffer("y", x.shape))
        y *= x
        y *= 0.5

        def backprop(dy: Array) -> Array:
            # dy/dx = (1 + t) / 2 + x (1 - t^2) / 2 * ROOT (1 + 3 CUBIC x^2)
            inner = xp.multiply(square, 1.5 * CUBIC * ROOT, out=scope.buffer("inner", x.shape))
            inner += 0.5 * ROOT
            inner *= x
            dx = xp.multiply(t, t, out=scope.buffer("dx", x.shape))
            xp.subtract(1, dx, out=dx)
            dx *= inner
            dx += xp.multiply(t, 0.5, out=inner)
            dx += 0.5
            dx *= dy
            return dx

        return y, backprop
