"""Mean squared error."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss
from core.nn.pointwise import PointwiseLoss


@member
class MeanSquaredError(PointwiseLoss):
    """`(y - t)^2`, gradient `2 (y - t)`, averaged over outputs and samples.

    Gauss's least squares: the best guess is the mean of the targets.
    """

    kind: Literal["mean_squared_error"] = "mean_squared_error"
    target: ClassVar[Literal["number"]] = "number"
    gradient_factor: ClassVar[float] = 2.0

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        dy = xp.subtract(y, target, out=scope.buffer("dy", y.shape))
        return xp.multiply(dy, dy, out=scope.buffer("each", y.shape)), dy

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
