"""Sum of squares."""

from typing import ClassVar, Literal

from core.family import member
from core.nn.measures.pointwise import SquaredLoss


@member
class SumOfSquares(SquaredLoss):
    """`(y - t)^2`, gradient `2 (y - t)`, summed over outputs and samples.

    The gradient grows with the batch size, so choose the learning rate accordingly.
    """

    kind: Literal["sum_of_squares"] = "sum_of_squares"
    averages: ClassVar[bool] = False
    average_outputs: ClassVar[bool] = False
    gradient_factor: ClassVar[float] = 2.0
