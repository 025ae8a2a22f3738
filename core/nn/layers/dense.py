"""Dense: every output is a weighted sum of all inputs, plus a bias."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Le

from core.family import member
from core.nn.array import Array, Shape
from core.nn.initializers import Initializer, Xavier, Zeros
from core.nn.layer import Backprop, Layer, Scope, ShapeError, Weight


@member
class Dense(Layer):
    """`y = x W + b` over the last axis.

    Gradients: `dx = dy W^T`, `dW = x^T dy`, `db = sum of dy over the batch` (Rumelhart, Hinton and
    Williams, "Learning representations by back-propagating errors", 1986).
    """

    kind: Literal["dense"] = "dense"
    units: Annotated[int, Ge(1), Le(1_000_000)]
    bias: bool = True
    weight_initializer: Initializer = Xavier()
    bias_initializer: Initializer = Zeros()

    def output(self, shape: Shape) -> Shape:
        if not shape:
            raise ShapeError("dense needs at least one feature axis")
        return (*shape[:-1], self.units)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        size = (shape[-1], self.units)
        found = {"weight": Weight(size, self.weight_initializer, *size)}
        if self.bias:
            found["bias"] = Weight((self.units,), self.bias_initializer, *size, decays=False)
        return found

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        lead, weight = x.shape[:-1], scope.weights["weight"]
        if len(scope.shape) > 1:  # other axes between batch and features count as batch
            x = x.reshape(*scope.stack, -1, x.shape[-1])
        y = xp.matmul(x, weight, out=scope.buffer("y", (*x.shape[:-1], self.units)))
        if self.bias:
            y += scope.weights["bias"][..., None, :]

        def backprop(dy: Array) -> Array | None:
            dy = dy.reshape(y.shape)
            xp.matmul(x.swapaxes(-1, -2), dy, out=scope.gradients["weight"])
            if self.bias:
                xp.sum(dy, axis=-2, out=scope.gradients["bias"])
            if not scope.input_gradient:
                return None
            dx = xp.matmul(dy, weight.swapaxes(-1, -2), out=scope.buffer("dx", x.shape))
            return dx.reshape(*lead, x.shape[-1])

        return y.reshape(*lead, self.units), backprop

    @classmethod
    def examples(cls) -> Iterator[tuple[Layer, Shape]]:
        yield cls(units=3), (4,)
        yield cls(units=2, bias=False), (3,)
        yield cls(units=2), (3, 4)
