"""Softplus."""

from typing import Literal

from core.family import member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.logits import sigmoid, softplus_tail


@member
class Softplus(Activation):
    """`y = log(1 + exp(x))`, computed as `max(x, 0) + log1p(exp(-|x|))`; gradient sigmoid(x).

    Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option
    Pricing" (2001).
    """

    kind: Literal["softplus"] = "softplus"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        y = softplus_tail(x, scope, out=scope.buffer("y", x.shape))
        y += xp.maximum(x, 0, out=scope.buffer("dx", x.shape))

        def backprop(dy: Array) -> Array:
            dx = sigmoid(x, scope, out=scope.buffer("dx", x.shape))
            dx *= dy
            return dx

        return y, backprop
