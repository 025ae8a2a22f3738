"""Kullback-Leibler divergence, from logits."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss, mean_over_samples
from core.nn.ops.logits import check_classes, exponentials, softmax

TINY = 1e-37
"""Stands for a share of nothing, whose logarithm is not needed: it is multiplied by zero."""


@member
class KlDivergence(Loss):
    """`sum of t (log t - log softmax(y))`, gradient `softmax(y) sum(t) - t`, averaged over samples.

    How far the predicted shares of the classes are from the true ones: 0 when equal. The outputs
    are logits. Kullback and Leibler, "On Information and Sufficiency" (1951), equation 2.4.
    """

    kind: Literal["kl_divergence"] = "kl_divergence"
    target: ClassVar[Literal["distribution"]] = "distribution"

    def check(self, shape: Shape) -> None:
        check_classes(None, shape)

    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        xp = scope.xp
        z, dy, total = exponentials(y, scope)
        z -= xp.log(total)
        each = xp.maximum(target, TINY, out=scope.buffer("each", y.shape))
        xp.log(each, out=each)
        each -= z
        each *= target
        dy *= target.sum(axis=-1, keepdims=True) / total
        dy -= target
        return mean_over_samples(each.sum(axis=-1), dy, sample_weight), dy

    def prediction(self, y: Array, scope: Scope) -> Array:
        return softmax(y, scope)

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (4,)
