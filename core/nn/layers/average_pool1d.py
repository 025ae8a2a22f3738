"""Average pooling of series."""

from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.pooling import Pool1d, mean
from core.nn.ops.windows import Grid


@member
class AveragePool1d(Pool1d):
    """The mean of each window over series `(time, channels)`, for each channel.

    Padding is excluded from the mean. `stride` defaults to `size`; `padding` is as in conv1d. LeCun
    et al., "Gradient-Based Learning Applied to Document Recognition" (1998), subsampling.
    """

    kind: Literal["average_pool1d"] = "average_pool1d"

    @staticmethod
    def pool(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
        return mean(x, grid, scope)
