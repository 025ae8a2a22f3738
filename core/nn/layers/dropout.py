"""Dropout."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Lt

from core.family import Examples, member
from core.nn.activation import Activation
from core.nn.array import Array
from core.nn.layer import Backprop, Reach, Scope


@member
class Dropout(Activation):
    """In training, sets each number to 0 with probability `rate` and divides others by `1 - rate`.

    Otherwise `y = x`. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting" (2014), in the inverted form.
    """

    kind: Literal["dropout"] = "dropout"
    reach: ClassVar[Reach] = "input"
    rate: Annotated[float, Ge(0), Lt(1)] = 0.5
    EXAMPLES: ClassVar[Examples] = (({}, (6,)), ({"rate": 0.2}, (2, 3)), ({"rate": 0.0}, (2,)))

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        if not scope.training:
            return x, lambda dy: dy
        xp = scope.xp
        scale = scope.number(1 / (1 - self.rate))
        rate = scope.number(self.rate)
        if isinstance(self.rate, np.ndarray):  # round as for a single network
            rate = rate.astype(np.float32)
        random = scope.random(x.shape)
        kept = xp.greater_equal(random, rate, out=scope.buffer("kept", x.shape, bool))

        def apply(name: str, values: Array) -> Array:
            out = xp.multiply(values, kept, out=scope.buffer(name, x.shape))
            out *= scale
            return out

        return apply("y", x), lambda dy: apply("dx", dy)
