"""Parametric rectified linear unit."""

from typing import ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.initializers import Constant, Initializer
from core.nn.layer import Backprop, Layer, Scope, ShapeError, Weight


@member
class Prelu(Layer):
    """`y = max(x, 0) + a min(x, 0)` with a learned slope `a` for each feature of the last axis.

    The gradient is 1 above 0 and `a` at 0 and below, as for leaky_relu; `da = sum of dy min(x, 0)`.
    He et al., "Delving Deep into Rectifiers" (2015), section 2.1.
    """

    kind: Literal["prelu"] = "prelu"
    slope_initializer: Initializer = Constant(value=0.25)
    EXAMPLES: ClassVar[Examples] = (({}, (5,)), ({}, (2, 3)))

    def output(self, shape: Shape) -> Shape:
        if not shape:
            raise ShapeError("prelu needs at least one feature axis")
        return shape

    def weights(self, shape: Shape) -> dict[str, Weight]:
        return {"slope": Weight((shape[-1],), self.slope_initializer, decays=False)}

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        rows = x.reshape(*scope.stack, -1, x.shape[-1])
        slope = scope.weights["slope"][..., None, :]
        below = xp.minimum(rows, 0, out=scope.buffer("below", rows.shape))
        y = xp.multiply(below, slope, out=scope.buffer("y", rows.shape))
        y += xp.maximum(rows, 0, out=scope.buffer("above", rows.shape))

        def backprop(dy: Array) -> Array:
            dy = dy.reshape(rows.shape)
            dx = xp.multiply(dy, slope, out=scope.buffer("dx", rows.shape))
            positive = xp.greater(rows, 0, out=scope.buffer("positive", rows.shape, bool))
            part = xp.multiply(dy, below, out=scope.buffer("part", rows.shape))
            xp.sum(part, axis=-2, out=scope.gradients["slope"])
            xp.copyto(dx, dy, where=positive)
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backprop
