"""Half the squared error, as in textbooks."""

from typing import ClassVar, Literal

from core.family import member
from core.nn.measures.pointwise import SquaredLoss


@member
class HalfSquaredError(SquaredLoss):
    """`1/2 (t - y)^2` summed over the outputs of a sample, gradient `y - t`; averaged over samples.

    The cost of Rumelhart, Hinton and Williams, "Learning representations by back-propagating
    errors" (1986), equation 3, and of Nielsen, "Neural Networks and Deep Learning" (2015),
    equation 6.
    """

    kind: Literal["half_squared_error"] = "half_squared_error"
    average_outputs: ClassVar[bool] = False
    value_factor: ClassVar[float] = 0.5
