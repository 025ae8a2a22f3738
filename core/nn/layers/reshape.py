"""Reshape the feature axes."""

import math
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.layer import Backprop, Layer, Reach, Scope, ShapeError


@member
class Reshape(Layer):
    """Reshapes the features of each sample in row-major order, such as 784 to (28, 28, 1)."""

    kind: Literal["reshape"] = "reshape"
    reach: ClassVar[Reach] = "input"
    shape: Annotated[tuple[Annotated[int, Ge(1), Le(100_000_000)], ...], MinLen(1), MaxLen(8)]
    EXAMPLES: ClassVar[Examples] = (({"shape": (2, 3, 1)}, (6,)), ({"shape": (4,)}, (2, 2)))

    def output(self, shape: Shape) -> Shape:
        if math.prod(shape) != math.prod(self.shape):
            raise ShapeError(
                f"cannot reshape {shape} with {math.prod(shape)} numbers to {self.shape} with "
                f"{math.prod(self.shape)}"
            )
        return self.shape

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        lead = x.shape[: len(scope.stack) + 1]
        return x.reshape(*lead, *self.shape), lambda dy: dy.reshape(x.shape)
