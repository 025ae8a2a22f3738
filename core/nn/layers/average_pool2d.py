"""Average pooling of images."""

from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.pooling import Pool2d, mean
from core.nn.ops.windows import Grid


@member
class AveragePool2d(Pool2d):
    """The mean of each window over images `(height, width, channels)`, for each channel.

    Padding is excluded from the mean. `size` and `stride` are one number or (height, width);
    `stride` defaults to `size`; `padding` is as in conv2d. LeCun et al., "Gradient-Based Learning
    Applied to Document Recognition" (1998), subsampling.
    """

    kind: Literal["average_pool2d"] = "average_pool2d"

    @staticmethod
    def pool(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
        return mean(x, grid, scope)
