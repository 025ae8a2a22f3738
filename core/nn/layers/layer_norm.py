"""Layer normalization."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Gt

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.initializers import Initializer, Ones, Zeros
from core.nn.layer import Backprop, Layer, Scope, ShapeError, Weight


@member
class LayerNorm(Layer):
    """`y = scale (x - mean) / sqrt(variance + epsilon) + shift` over the last axis.

    With `n = (x - mean) / sqrt(variance + epsilon)` and `g = scale dy`:
    `dx = (g - mean(g) - n mean(g n)) / sqrt(variance + epsilon)`. Ba, Kiros and Hinton, "Layer
    Normalization" (2016).
    """

    kind: Literal["layer_norm"] = "layer_norm"
    epsilon: Annotated[float, Gt(0)] = 1e-5
    scale_initializer: Initializer = Ones()
    shift_initializer: Initializer = Zeros()
    EXAMPLES: ClassVar[Examples] = (({}, (5,)), ({"epsilon": 1e-3}, (2, 4)))

    def output(self, shape: Shape) -> Shape:
        if not shape:
            raise ShapeError("layer_norm needs at least one feature axis")
        return shape

    def weights(self, shape: Shape) -> dict[str, Weight]:
        return {
            "scale": Weight(shape[-1:], self.scale_initializer, decays=False),
            "shift": Weight(shape[-1:], self.shift_initializer, decays=False),
        }

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        rows = x.reshape(*scope.stack, -1, x.shape[-1])
        scale = scope.weights["scale"][..., None, :]
        n = xp.subtract(rows, rows.mean(axis=-1, keepdims=True), out=scope.buffer("n", rows.shape))
        y = xp.multiply(n, n, out=scope.buffer("y", rows.shape))
        variance = y.mean(axis=-1, keepdims=True)
        inverse = 1 / xp.sqrt(variance + scope.number(self.epsilon, 2))
        n *= inverse
        xp.multiply(n, scale, out=y)
        y += scope.weights["shift"][..., None, :]

        def backprop(dy: Array) -> Array | None:
            dy = dy.reshape(rows.shape)
            part = xp.multiply(dy, n, out=scope.buffer("part", rows.shape))
            xp.sum(part, axis=-2, out=scope.gradients["scale"])
            xp.sum(dy, axis=-2, out=scope.gradients["shift"])
            if not scope.input_gradient:
                return None
            dx = xp.multiply(dy, scale, out=scope.buffer("dx", rows.shape))
            part *= scale
            share = part.mean(axis=-1, keepdims=True)
            dx -= dx.mean(axis=-1, keepdims=True)
            dx -= xp.multiply(n, share, out=part)
            dx *= inverse
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backprop
