"""Fully connected layer."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.initializers import Initializer, Xavier, Zeros
from core.nn.layer import MOST_UNITS, Backprop, Layer, Reach, Scope, ShapeError, Weight


@member
class Dense(Layer):
    """`y = x W + b` over the last axis.

    Gradients: `dx = dy W^T`, `dW = x^T dy`, `db = sum of dy over the batch`. Rumelhart, Hinton and
    Williams, "Learning representations by back-propagating errors" (1986).
    """

    kind: Literal["dense"] = "dense"
    reach: ClassVar[Reach] = "any"
    units: Annotated[int, Ge(1), Le(MOST_UNITS)]
    bias: bool = True
    weight_initializer: Initializer = Xavier()
    bias_initializer: Initializer = Zeros()
    EXAMPLES: ClassVar[Examples] = (
        ({"units": 3}, (4,)),
        ({"units": 2, "bias": False}, (3,)),
        ({"units": 2}, (3, 4)),
    )

    def output(self, shape: Shape) -> Shape:
        if not shape:
            raise ShapeError("dense needs at least one feature axis")
        return (*shape[:-1], self.units)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        size = (shape[-1], self.units)
        weights = {"weight": Weight(size, self.weight_initializer, *size)}
        if self.bias:
            weights["bias"] = Weight((self.units,), self.bias_initializer, *size, decays=False)
        return weights

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        if len(scope.shape) == 1:
            return self._forward(x, scope)
        # Treat axes between the batch and the features as part of the batch.
        lead = x.shape[:-1]
        y, inner = self._forward(x.reshape(*scope.stack, -1, x.shape[-1]), scope)

        def backprop(dy: Array) -> Array | None:
            dx = inner(dy.reshape(y.shape))
            return None if dx is None else dx.reshape(x.shape)

        return y.reshape(*lead, self.units), backprop

    def _forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        """Compute the layer for `x (*stack, batch, features)`."""
        matmul, weights, gradients = scope.xp.matmul, scope.weights, scope.gradients
        weight = weights["weight"]
        batch = x.shape[:-1]
        y = matmul(x, weight, out=scope.buffer("y", (*batch, self.units)))
        if self.bias:
            y += weights["bias"][..., None, :]

        def backprop(dy: Array) -> Array | None:
            matmul(x.swapaxes(-1, -2), dy, out=gradients["weight"])
            if self.bias:  # a sum, fastest as a product with ones
                matmul(scope.ones(batch[-1]), dy, out=gradients["bias"][..., None, :])
            if not scope.input_gradient:
                return None
            return matmul(dy, weight.swapaxes(-1, -2), out=scope.buffer("dx", x.shape))

        return y, backprop
