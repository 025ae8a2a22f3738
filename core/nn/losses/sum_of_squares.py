"""Sum of squares."""

from typing import ClassVar, Literal

from core.family import member
from core.nn.measures.pointwise import SquaredLoss


@member
class SumOfSquares(SquaredLoss):
    """`(y - t)^2`, gradient `2 (y - t)`, summed over outputs and over all samples of the batch.

    Nothing is averaged: the gradient grows with the batch, so the rate must suit its size.
    """

    kind: Literal["sum_of_squares"] = "sum_of_squares"
    averages: ClassVar[bool] = False
    average_outputs: ClassVar[bool] = False
    gradient_factor: ClassVar[float] = 2.0
