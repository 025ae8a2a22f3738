"""Half the squared error."""

from typing import ClassVar, Literal

from core.family import member
from core.nn.measures.pointwise import SquaredLoss


@member
class HalfSquaredError(SquaredLoss):
    """`1/2 (t - y)^2` summed over outputs, gradient `y - t`; averaged over samples.

    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986),
    equation 3; Nielsen, "Neural Networks and Deep Learning" (2015), equation 6.
    """

    kind: Literal["half_squared_error"] = "half_squared_error"
    average_outputs: ClassVar[bool] = False
    value_factor: ClassVar[float] = 0.5
