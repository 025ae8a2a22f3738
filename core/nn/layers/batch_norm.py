"""Batch normalization."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.initializers import Initializer, Ones, Zeros
from core.nn.layer import Backprop, Layer, Scope, ShapeError, Weight


@member
class BatchNorm(Layer):
    """`y = scale (x - mean) / sqrt(variance + epsilon) + shift`, for each feature of the last axis.

    In training, mean and variance are those of the batch (over all positions of an image or series)
    and update the running ones: `running = (1 - momentum) running + momentum batch`, with the
    unbiased variance. Otherwise the running ones are used. With
    `n = (x - mean) / sqrt(variance + epsilon)`:
    `dx = scale / sqrt(variance + epsilon) (dy - mean(dy) - n mean(dy n))`. Ioffe and Szegedy,
    "Batch Normalization" (2015), algorithms 1 and 2.
    """

    kind: Literal["batch_norm"] = "batch_norm"
    momentum: Annotated[float, Ge(0), Le(1)] = 0.1
    epsilon: Annotated[float, Gt(0)] = 1e-5
    scale_initializer: Initializer = Ones()
    shift_initializer: Initializer = Zeros()
    EXAMPLES: ClassVar[Examples] = (
        ({}, (4,)),
        ({"momentum": 0.3, "epsilon": 1e-3}, (2, 3)),
        ({}, (2, 2, 3)),
    )

    def output(self, shape: Shape) -> Shape:
        if not shape:
            raise ShapeError("batch_norm needs at least one feature axis")
        return shape

    def weights(self, shape: Shape) -> dict[str, Weight]:
        return {
            "scale": Weight(shape[-1:], self.scale_initializer, decays=False),
            "shift": Weight(shape[-1:], self.shift_initializer, decays=False),
        }

    def state(self, shape: Shape) -> dict[str, Weight]:
        return {"mean": Weight(shape[-1:], Zeros()), "variance": Weight(shape[-1:], Ones())}

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        xp = scope.xp
        rows = x.reshape(*scope.stack, -1, x.shape[-1])
        mean, variance = (scope.state[name][..., None, :] for name in ("mean", "variance"))
        scale = scope.weights["scale"][..., None, :]
        if scope.training:
            mean = rows.mean(axis=-2, keepdims=True)
        n = xp.subtract(rows, mean, out=scope.buffer("n", rows.shape))
        if scope.training:
            square = xp.multiply(n, n, out=scope.buffer("y", rows.shape))
            variance = square.mean(axis=-2, keepdims=True)
            self._update_running(scope, mean, variance, rows.shape[-2])
        inverse = 1 / xp.sqrt(variance + scope.number(self.epsilon, 2))
        n *= inverse
        y = xp.multiply(n, scale, out=scope.buffer("y", rows.shape))
        y += scope.weights["shift"][..., None, :]
        training = scope.training

        def backprop(dy: Array) -> Array | None:
            dy = dy.reshape(rows.shape)
            dx = xp.multiply(dy, n, out=scope.buffer("dx", rows.shape))
            xp.sum(dx, axis=-2, out=scope.gradients["scale"])
            xp.sum(dy, axis=-2, out=scope.gradients["shift"])
            if not scope.input_gradient:
                return None
            if not training:
                return xp.multiply(dy, scale * inverse, out=dx).reshape(x.shape)
            share = 1 / rows.shape[-2]
            xp.multiply(n, scope.gradients["scale"][..., None, :] * -share, out=dx)
            dx += dy
            dx -= scope.gradients["shift"][..., None, :] * share
            dx *= scale * inverse
            return dx.reshape(x.shape)

        return y.reshape(x.shape), backprop

    def _update_running(self, scope: Scope, mean: Array, variance: Array, count: int) -> None:
        keep, take = scope.number(1 - self.momentum, 1), scope.number(self.momentum, 1)
        for name, value in (
            ("mean", mean[..., 0, :]),
            ("variance", variance[..., 0, :] * (count / max(1, count - 1))),
        ):
            running = scope.state[name]
            running *= keep
            running += value * take
