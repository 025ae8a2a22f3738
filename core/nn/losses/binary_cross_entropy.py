"""Cross-entropy of independent yes-or-no outputs, from logits."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Lt

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss, plain
from core.nn.measures.classification import WeightedBinaryLoss
from core.nn.ops.logits import sigmoid, softplus


@member
class BinaryCrossEntropy(WeightedBinaryLoss):
    """`max(y, 0) - y t + log(1 + exp(-|y|))`, gradient `sigmoid(y) - t`, averaged over outputs.

    The outputs are logits: no sigmoid layer before it. `positive_weight` is how much a one counts
    against a zero, `balanced` their ratio in the training data; `label_smoothing` moves targets by
    that share towards 1/2 (Szegedy et al., "Rethinking the Inception Architecture", 2016).
    """

    kind: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        if not plain(self.label_smoothing, 0.0):
            target = target * scope.number(1 - self.label_smoothing)
            target += scope.number(0.5 * self.label_smoothing)
        each = xp.maximum(y, 0, out=scope.buffer("each", y.shape))
        rest = softplus(y, scope, out=scope.buffer("rest", y.shape))
        dy = sigmoid(y, scope, out=scope.buffer("dy", y.shape))
        if not plain(self.ones_weight, 1.0):
            more = target * scope.number(self.ones_weight - 1.0)
            more += 1
            each *= more
            rest *= more
            dy *= more
            target = target * scope.number(self.ones_weight)
        dy -= target
        each -= y * target
        each += rest
        return each, dy

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
        yield cls(label_smoothing=0.1, positive_weight=3.0), (4,)
