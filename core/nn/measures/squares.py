"""Squared differences of outputs and targets: what losses and metrics of them have in common."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.measures.pointwise import PointwiseLoss
from core.nn.metric import Metric


@member
class SquaredLoss(PointwiseLoss):
    """`(y - t)^2`, gradient `y - t`, both times the factors of the member."""

    target: ClassVar[Literal["number"]] = "number"

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        dy = xp.subtract(y, target, out=scope.buffer("dy", y.shape))
        return xp.multiply(dy, dy, out=scope.buffer("each", y.shape)), dy

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)


@member
class SquaredMetric(Metric):
    """Sums of squares and of weights over samples, `squares` and `weight (*stack, outputs)`."""

    target: ClassVar[Literal["number"]] = "number"
    better: ClassVar[Literal["lower"]] = "lower"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        apart = (outputs.astype(xp.float64) - target).reshape(*weight.shape, -1)
        mass = weight.astype(xp.float64)[..., None]
        return {"squares": (apart * apart * mass).sum(axis=-2), "weight": mass.sum(axis=-2)}

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
