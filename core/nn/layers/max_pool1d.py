"""Max pooling of series."""

from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.pooling import Pool1d, largest
from core.nn.ops.windows import Grid


@member
class MaxPool1d(Pool1d):
    """The maximum of each window over series `(time, channels)`, for each channel.

    The gradient goes to the first position that holds the maximum. `stride` defaults to `size`;
    `padding` is as in conv1d. Zhou and Chellappa, "Computation of Optical Flow Using a Neural
    Network" (1988).
    """

    kind: Literal["max_pool1d"] = "max_pool1d"

    @staticmethod
    def pool(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
        return largest(x, grid, scope)
