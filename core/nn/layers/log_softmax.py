"""Log softmax."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope


@member
class LogSoftmax(Activation):
    """`y = x - log(sum of exp(x))` over the last axis; gradient `dy - exp(y) sum of dy`.

    The maximum of x is subtracted first, so that nothing overflows.
    """

    kind: Literal["log_softmax"] = "log_softmax"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        y = xp.subtract(x, x.max(axis=-1, keepdims=True), out=scope.buffer("y", x.shape))
        p = xp.exp(y, out=scope.buffer("p", x.shape))
        y -= xp.log(p.sum(axis=-1, keepdims=True))

        def backprop(dy: Array) -> Array:
            dx = xp.exp(y, out=scope.buffer("p", x.shape))
            dx *= dy.sum(axis=-1, keepdims=True)
            xp.subtract(dy, dx, out=dx)
            return dx

        return y, backprop
