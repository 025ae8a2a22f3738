"""Max pooling of images."""

from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.pooling import Pool2d, largest
from core.nn.ops.windows import Grid


@member
class MaxPool2d(Pool2d):
    """The maximum of each window over images `(height, width, channels)`, for each channel.

    The gradient goes to the first position that holds the maximum. `size` and `stride` are one
    number or (height, width); `stride` defaults to `size`; `padding` is as in conv2d. Zhou and
    Chellappa, "Computation of Optical Flow Using a Neural Network" (1988).
    """

    kind: Literal["max_pool2d"] = "max_pool2d"

    @staticmethod
    def pool(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
        return largest(x, grid, scope)
