"""Mean absolute error."""

from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.measures.pointwise import PointwiseLoss


@member
class MeanAbsoluteError(PointwiseLoss):
    """`|y - t|`, gradient `sign(y - t)`, averaged over outputs and samples.

    Minimized by the median of the targets.
    """

    kind: Literal["mean_absolute_error"] = "mean_absolute_error"

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        dy = xp.subtract(y, target, out=scope.buffer("dy", y.shape))
        each = xp.abs(dy, out=scope.buffer("each", y.shape))
        return each, xp.sign(dy, out=dy)

    @property
    def quantile(self) -> float:
        return 0.5
