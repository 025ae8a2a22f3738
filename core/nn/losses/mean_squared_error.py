"""Mean squared error."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss, scale_gradient, weighted_mean


@member
class MeanSquaredError(Loss):
    """`(y - t)^2` averaged over outputs and batch; gradient `2 (y - t)` by the same averages."""

    kind: Literal["mean_squared_error"] = "mean_squared_error"
    target: ClassVar[Literal["number"]] = "number"

    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        xp = scope.xp
        axes = tuple(range(len(scope.stack) + 1, y.ndim))
        dy = xp.subtract(y, target, out=scope.buffer("dy", y.shape))
        squared = xp.multiply(dy, dy, out=scope.buffer("squared", y.shape))
        mean = weighted_mean(scope, squared.mean(axis=axes), sample_weight)
        dy *= 2.0 / max(1, y[(0,) * (len(scope.stack) + 1)].size)
        return mean, scale_gradient(scope, dy, sample_weight)

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
