"""Cross-entropy of independent yes-or-no outputs, from logits."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss, scale_gradient, weighted_mean


@member
class BinaryCrossEntropy(Loss):
    """`max(y, 0) - y t + log(1 + exp(-|y|))`, gradient `sigmoid(y) - t`, averaged over outputs.

    The outputs are logits: no sigmoid layer before it.
    """

    kind: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    target: ClassVar[Literal["binary"]] = "binary"

    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        xp = scope.xp
        axes = tuple(range(len(scope.stack) + 1, y.ndim))
        each = xp.maximum(y, 0) - y * target + xp.log1p(xp.exp(-xp.abs(y)))
        dy = xp.multiply(y, 0.5, out=scope.buffer("dy", y.shape))
        xp.tanh(dy, out=dy)
        dy += 1
        dy *= 0.5
        dy -= target
        dy *= 1.0 / max(1, y[(0,) * (len(scope.stack) + 1)].size)
        mean = weighted_mean(scope, each.mean(axis=axes), sample_weight)
        return mean, scale_gradient(scope, dy, sample_weight)

    def prediction(self, y: Array, scope: Scope) -> Array:
        return 0.5 * (1 + scope.xp.tanh(0.5 * y))

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
