"""Global average pooling."""

from collections.abc import Iterator
from typing import Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Backprop, Layer, Scope, ShapeError


@member
class GlobalAveragePool(Layer):
    """The mean of each channel over all places of an image or series.

    Lin, Chen and Yan, "Network In Network" (2014), section 3.2.
    """

    kind: Literal["global_average_pool"] = "global_average_pool"

    def output(self, shape: Shape) -> Shape:
        if len(shape) < 2:
            raise ShapeError(f"global_average_pool needs places and channels, not {shape}")
        return shape[-1:]

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        lead = x.shape[: len(scope.stack) + 1]
        places = x.reshape(*lead, -1, x.shape[-1])
        y = xp.mean(places, axis=-2, out=scope.buffer("y", (*lead, x.shape[-1])))

        def backprop(dy: Array) -> Array:
            dx = scope.buffer("dx", places.shape)
            xp.multiply(dy[..., None, :], 1 / places.shape[-2], out=dx)
            return dx.reshape(x.shape)

        return y, backprop

    @classmethod
    def examples(cls) -> Iterator[tuple[Layer, Shape]]:
        yield cls(), (4, 2)
        yield cls(), (2, 3, 2)
