"""Max pooling of series."""

from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.pooling import Pool1d, largest
from core.nn.ops.windows import Grid


@member
class MaxPool1d(Pool1d):
    """The largest number under each window over series `(time, channels)`, channel by channel.

    The gradient goes to the first place that holds it. Zhou and Chellappa, "Computation of Optical
    Flow Using a Neural Network" (1988).
    `stride` is the size, unless given; `padding` as in conv1d.
    """

    kind: Literal["max_pool1d"] = "max_pool1d"

    @staticmethod
    def pool(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
        return largest(x, grid, scope)
