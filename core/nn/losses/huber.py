"""Huber loss."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Gt

from core.family import Examples, member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.measures.pointwise import PointwiseLoss


@member
class Huber(PointwiseLoss):
    """`d^2 / 2` for errors `d = y - t` up to `delta`, beyond it `delta (|d| - delta / 2)`.

    Gradient `d`, limited to the range from -delta to delta. Huber, "Robust Estimation of a Location
    Parameter" (1964), section 4.
    """

    kind: Literal["huber"] = "huber"
    delta: Annotated[float, Gt(0)] = 1.0
    EXAMPLES: ClassVar[Examples] = (({}, (2, 3)), ({"delta": 0.3}, (4,)))

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        delta = scope.number(self.delta)
        error = xp.subtract(y, target, out=scope.buffer("error", y.shape))
        dy = xp.minimum(error, delta, out=scope.buffer("dy", y.shape))
        xp.maximum(dy, -delta, out=dy)
        each = xp.multiply(dy, -0.5, out=scope.buffer("each", y.shape))
        each += error
        each *= dy
        return each, dy

    @property
    def quantile(self) -> float:
        return 0.5
