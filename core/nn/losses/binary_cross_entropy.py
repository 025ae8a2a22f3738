"""Cross-entropy of independent binary outputs, from logits."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Lt

from core.family import Examples, member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import equals
from core.nn.measures.classification import WeightedBinaryLoss
from core.nn.ops.logits import sigmoid, softplus_tail


@member
class BinaryCrossEntropy(WeightedBinaryLoss):
    """`max(y, 0) - y t + log(1 + exp(-|y|))`, gradient `sigmoid(y) - t`, averaged over outputs.

    The outputs are logits, so the network has no final sigmoid layer. `positive_weight` weights
    ones relative to zeros; `balanced` is the ratio of zeros to ones in the training data.
    `label_smoothing` e makes targets `(1 - e) t + e / 2` (Szegedy et al., "Rethinking the Inception
    Architecture", 2016).
    """

    kind: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    EXAMPLES: ClassVar[Examples] = (
        ({}, (1,)),
        ({}, (2, 3)),
        ({"label_smoothing": 0.1, "positive_weight": 3.0}, (4,)),
    )

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        if not equals(self.label_smoothing, 0.0):
            target = target * scope.number(1 - self.label_smoothing)
            target += scope.number(0.5 * self.label_smoothing)
        each = xp.maximum(y, 0, out=scope.buffer("each", y.shape))
        rest = softplus_tail(y, scope, out=scope.buffer("rest", y.shape))
        dy = sigmoid(y, scope, out=scope.buffer("dy", y.shape))
        if not equals(self.ones_weight, 1.0):
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
