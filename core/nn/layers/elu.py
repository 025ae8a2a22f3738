"""Exponential linear unit."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope


@member
class Elu(Activation):
    """`y = x` above 0, `alpha (exp(x) - 1)` below; gradient 1 above, `y + alpha` below.

    Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by Exponential
    Linear Units (ELUs)" (2016).
    """

    kind: Literal["elu"] = "elu"
    alpha: Annotated[float, Ge(0), Le(100)] = 1.0

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp, alpha = scope.xp, scope.number(self.alpha)
        y = xp.minimum(x, 0, out=scope.buffer("y", x.shape))
        xp.expm1(y, out=y)
        y *= alpha
        above = xp.greater(x, 0, out=scope.buffer("above", x.shape, bool))
        xp.copyto(y, x, where=above)

        def backprop(dy: Array) -> Array:
            dx = xp.add(y, alpha, out=scope.buffer("dx", y.shape))
            dx *= dy
            xp.copyto(dx, dy, where=above)
            return dx

        return y, backprop
