"""Cross-entropy over classes, from logits and the true class."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Lt

from core.family import Examples, member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import SMALLEST, equals
from core.nn.measures.classification import ClassLoss
from core.nn.ops.logits import class_array, exponentials, flat_index, scaled_rows

FEW = 64
"""Up to this many classes, subtracting one-hot rows is faster than indexing single numbers."""


@member
class CrossEntropy(ClassLoss):
    """`log(sum of exp(y)) - y[target]`, its gradient `softmax(y) - one_hot(target)`.

    The outputs are logits, so the network has no final softmax layer. `label_smoothing` e makes
    targets `(1 - e) one_hot + e / classes` (Szegedy et al., "Rethinking the Inception
    Architecture", 2016, section 7). `class_weights` multiply the term of each class; the sum over
    samples is divided by the sum of the weights of their classes.
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    target: ClassVar[Literal["class"]] = "class"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    EXAMPLES: ClassVar[Examples] = (
        ({}, (4,)),
        ({"label_smoothing": 0.1}, (3,)),
        ({"class_weights": (0.5, 2.0, 1.0)}, (3,)),
        ({"label_smoothing": 0.2, "class_weights": (0.5, 2.0, 1.0, 0.25)}, (4,)),
    )

    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        xp = scope.xp
        z, dy, total = exponentials(y, scope)
        classes = y.shape[-1]
        index = flat_index(target, classes, scope)
        each = xp.log(total[..., 0])
        if (
            sample_weight is None
            and self.class_weights is None
            and equals(self.label_smoothing, 0.0)
        ):
            share = 1.0 / target.shape[-1]
            each -= xp.take(z.reshape(-1), index).reshape(target.shape)
            each *= share
            dy *= share / total
            if classes > FEW:
                dy.reshape(-1)[index] -= share
            else:
                dy -= xp.take(scaled_rows(xp, classes, share, dy.dtype), target, axis=0)
            return each.sum(axis=-1), dy
        return self._weighted(each, z, dy, total, index, scope, sample_weight)

    def _weighted(
        self,
        log_total: Array,
        z: Array,
        dy: Array,
        total: Array,
        index: Array,
        scope: Scope,
        sample_weight: Array | None,
    ) -> tuple[Array, Array]:
        """The loss with weights of samples and classes, and with smoothed targets.

        With weights `s` of samples and `w` of classes and the true class `c`, the loss of a sample
        is `-s ((1 - e) w[c] log_p[c] + e / classes sum w log_p)`, divided by the batch's sum of
        `s w[c]`.
        """
        xp, classes = scope.xp, z.shape[-1]
        sharpness = scope.number(1 - self.label_smoothing, 1)
        rest = scope.number(self.label_smoothing, 1)
        weights = class_array(self.class_weights, scope)
        chosen = z.reshape(-1)[index].reshape(log_total.shape)
        if weights is None:
            right, mean, spread = xp.ones_like(log_total), 1.0, z.mean(axis=-1)
        else:
            right = weights[index % classes].reshape(log_total.shape)
            mean, spread = weights.mean(), (z * weights).mean(axis=-1)
        if sample_weight is None and weights is None:
            share = xp.full_like(log_total, 1.0 / log_total.shape[-1])
        else:
            given = 1.0 if sample_weight is None else sample_weight.astype(z.dtype, copy=False)
            share = given / ((given * right).sum(axis=-1, keepdims=True) + SMALLEST)
        sharp = right * sharpness
        each = sharp * (log_total - chosen) + rest * (mean * log_total - spread)
        dy *= ((sharp + rest * mean) * share)[..., None] / total
        dy.reshape(-1)[index] -= (sharp * share).reshape(-1)
        if not equals(self.label_smoothing, 0.0):
            part = (scope.number(self.label_smoothing / classes, 1) * share)[..., None]
            dy -= part if weights is None else part * weights
        each *= share
        return each.sum(axis=-1), dy
