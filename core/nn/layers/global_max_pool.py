"""Global max pooling."""

from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Backprop, Scope
from core.nn.ops.pooling import GlobalPool


@member
class GlobalMaxPool(GlobalPool):
    """The largest number of each channel over all places of an image or series.

    Its gradient goes to the first place that holds it.
    """

    kind: Literal["global_max_pool"] = "global_max_pool"

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        lead = x.shape[: len(scope.stack) + 1]
        places = x.reshape(*lead, -1, x.shape[-1])
        winner = xp.expand_dims(places.argmax(axis=-2), -2)
        y = xp.take_along_axis(places, winner, axis=-2)

        def backprop(dy: Array) -> Array:
            dx = scope.buffer("dx", places.shape)
            here = xp.arange(places.shape[-2]).reshape(-1, 1)
            won = xp.equal(here, winner, out=scope.buffer("won", places.shape, bool))
            xp.multiply(won, dy[..., None, :], out=dx)
            return dx.reshape(x.shape)

        return y[..., 0, :], backprop
