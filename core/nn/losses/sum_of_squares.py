"""Sum of squares."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss
from core.nn.pointwise import PointwiseLoss


@member
class SumOfSquares(PointwiseLoss):
    """`(y - t)^2`, gradient `2 (y - t)`, summed over outputs and over all samples of the batch.

    Nothing is averaged: the gradient grows with the batch, so the rate must suit its size.
    """

    kind: Literal["sum_of_squares"] = "sum_of_squares"
    target: ClassVar[Literal["number"]] = "number"
    averages: ClassVar[bool] = False
    average_outputs: ClassVar[bool] = False
    gradient_factor: ClassVar[float] = 2.0

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        dy = xp.subtract(y, target, out=scope.buffer("dy", y.shape))
        return xp.multiply(dy, dy, out=scope.buffer("each", y.shape)), dy

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
