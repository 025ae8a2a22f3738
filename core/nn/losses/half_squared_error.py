"""Half the squared error, as in textbooks."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss
from core.nn.pointwise import PointwiseLoss


@member
class HalfSquaredError(PointwiseLoss):
    """`1/2 (t - y)^2` summed over the outputs of a sample, gradient `y - t`; averaged over samples.

    The cost of Rumelhart, Hinton and Williams, "Learning representations by back-propagating
    errors" (1986), equation 3, and of Nielsen, "Neural Networks and Deep Learning" (2015),
    equation 6.
    """

    kind: Literal["half_squared_error"] = "half_squared_error"
    target: ClassVar[Literal["number"]] = "number"
    average_outputs: ClassVar[bool] = False
    value_factor: ClassVar[float] = 0.5

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        dy = xp.subtract(y, target, out=scope.buffer("dy", y.shape))
        return xp.multiply(dy, dy, out=scope.buffer("each", y.shape)), dy

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
