"""Flatten the feature axes."""

import math
from typing import ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.layer import Backprop, Layer, Reach, Scope


@member
class Flatten(Layer):
    """Joins all feature axes into one, in row-major order."""

    kind: Literal["flatten"] = "flatten"
    reach: ClassVar[Reach] = "input"
    EXAMPLES: ClassVar[Examples] = (({}, (2, 3, 2)), ({}, (4,)), ({}, ()))

    def output(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        lead = x.shape[: len(scope.stack) + 1]
        return x.reshape(*lead, math.prod(scope.shape)), lambda dy: dy.reshape(x.shape)
