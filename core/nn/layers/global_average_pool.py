"""Global average pooling."""

from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.pooling import GlobalPool


@member
class GlobalAveragePool(GlobalPool):
    """The mean of each channel over all positions of an image or series.

    Lin, Chen and Yan, "Network In Network" (2014), section 3.2.
    """

    kind: Literal["global_average_pool"] = "global_average_pool"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        lead = x.shape[: len(scope.stack) + 1]
        positions = x.reshape(*lead, -1, x.shape[-1])
        y = xp.mean(positions, axis=-2, out=scope.buffer("y", (*lead, x.shape[-1])))

        def backprop(dy: Array) -> Array:
            dx = scope.buffer("dx", positions.shape)
            xp.multiply(dy[..., None, :], 1 / positions.shape[-2], out=dx)
            return dx.reshape(x.shape)

        return y, backprop
