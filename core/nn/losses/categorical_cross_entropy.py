"""Cross-entropy over classes, from logits and the probability of each class."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Lt

from core.family import Examples, member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import equals, mean_over_samples
from core.nn.measures.classification import ClassLoss
from core.nn.ops.logits import class_array, exponentials


@member
class CategoricalCrossEntropy(ClassLoss):
    """`-sum t log softmax(y)`, gradient `softmax(y) sum(t) - t`; targets are one-hot or soft.

    The outputs are logits, so the network has no final softmax layer. `label_smoothing` e makes
    targets `(1 - e) t + e / classes`, then `class_weights` multiply them. Averaged over samples.
    """

    kind: Literal["categorical_cross_entropy"] = "categorical_cross_entropy"
    target: ClassVar[Literal["distribution"]] = "distribution"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    EXAMPLES: ClassVar[Examples] = (
        ({}, (4,)),
        ({"label_smoothing": 0.1, "class_weights": (0.5, 2.0, 1.0)}, (3,)),
    )

    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        xp = scope.xp
        z, dy, total = exponentials(y, scope)
        weights = class_array(self.class_weights, scope)
        if not equals(self.label_smoothing, 0.0):
            target = target * scope.number(1 - self.label_smoothing)
            target += scope.number(self.label_smoothing / y.shape[-1])
        if weights is not None:
            target = target * weights
        mass = target.sum(axis=-1, keepdims=True)
        z -= xp.log(total)
        z *= target
        dy *= mass / total
        dy -= target
        return -mean_over_samples(z.sum(axis=-1), dy, sample_weight), dy
