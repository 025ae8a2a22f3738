"""Mean squared error."""

from typing import ClassVar, Literal

from core.family import member
from core.nn.measures.pointwise import SquaredLoss


@member
class MeanSquaredError(SquaredLoss):
    """`(y - t)^2`, gradient `2 (y - t)`, averaged over outputs and samples.

    Minimized by the mean of the targets.
    """

    kind: Literal["mean_squared_error"] = "mean_squared_error"
    gradient_factor: ClassVar[float] = 2.0
