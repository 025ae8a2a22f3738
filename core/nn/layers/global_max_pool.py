"""Global max pooling."""

from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.pooling import GlobalPool


@member
class GlobalMaxPool(GlobalPool):
    """The maximum of each channel over all positions of an image or series.

    The gradient goes to the first position that holds the maximum.
    """

    kind: Literal["global_max_pool"] = "global_max_pool"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        lead = x.shape[: len(scope.stack) + 1]
        positions = x.reshape(*lead, -1, x.shape[-1])
        winner = xp.expand_dims(positions.argmax(axis=-2), -2)
        y = xp.take_along_axis(positions, winner, axis=-2)

        def backprop(dy: Array) -> Array:
            dx = scope.buffer("dx", positions.shape)
            index = xp.arange(positions.shape[-2]).reshape(-1, 1)
            won = xp.equal(index, winner, out=scope.buffer("won", positions.shape, bool))
            xp.multiply(won, dy[..., None, :], out=dx)
            return dx.reshape(x.shape)

        return y[..., 0, :], backprop
