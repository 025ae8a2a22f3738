"""Kullback-Leibler divergence, from logits."""

from typing import ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss, mean_over_samples
from core.nn.ops.logits import check_classes, exponentials, softmax

TINY = 1e-37
"""Replaces targets of 0 in the logarithm, which is then multiplied by 0."""


@member
class KlDivergence(Loss):
    """`sum of t (log t - log softmax(y))`, gradient `softmax(y) sum(t) - t`, averaged over samples.

    It is 0 when the predicted distribution equals the target. The outputs are logits. Kullback and
    Leibler, "On Information and Sufficiency" (1951), equation 2.4.
    """

    kind: Literal["kl_divergence"] = "kl_divergence"
    target: ClassVar[Literal["distribution"]] = "distribution"
    EXAMPLES: ClassVar[Examples] = (({}, (4,)),)

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
