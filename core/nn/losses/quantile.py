"""Quantile loss."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Lt

from core.family import Examples, member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.measures.pointwise import PointwiseLoss


@member
class Quantile(PointwiseLoss):
    """`level (t - y)` where y is below t, `(1 - level) (y - t)` above; averaged.

    Minimized by the quantile `level` of the targets. Koenker and Bassett, "Regression Quantiles"
    (1978), equation 2.3.
    """

    kind: Literal["quantile"] = "quantile"
    level: Annotated[float, Gt(0), Lt(1)] = 0.5
    EXAMPLES: ClassVar[Examples] = (({"level": 0.9}, (1,)), ({"level": 0.25}, (2, 3)))

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        level = scope.number(self.level)
        error = xp.subtract(y, target, out=scope.buffer("error", y.shape))
        dy = xp.greater(error, 0, out=scope.buffer("dy", y.shape))
        dy -= level
        return xp.multiply(error, dy, out=scope.buffer("each", y.shape)), dy

    @property
    def quantile(self) -> float:
        return self.level
