"""Cross-entropy over classes, from logits."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Lt

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss, scale_gradient, weighted_mean


@member
class CrossEntropy(Loss):
    """`log(sum of exp(y)) - y[target]`, its gradient `softmax(y) - one_hot(target)`.

    The outputs are logits: no softmax layer before it. `label_smoothing` spreads that share of each
    target evenly over all classes (Szegedy et al., "Rethinking the Inception Architecture", 2016).
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    target: ClassVar[Literal["class"]] = "class"
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0

    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        xp = scope.xp
        shifted = xp.subtract(y, y.max(axis=-1, keepdims=True), out=scope.buffer("z", y.shape))
        dy = xp.exp(shifted, out=scope.buffer("dy", y.shape))
        total = dy.sum(axis=-1, keepdims=True)
        dy /= total
        index = target[..., None]
        chosen = xp.take_along_axis(shifted, index, axis=-1)[..., 0]
        rest = self.label_smoothing
        if rest:
            chosen = (1 - rest) * chosen + rest * shifted.mean(axis=-1)
            dy -= rest / y.shape[-1]
        each = xp.log(total[..., 0]) - chosen
        right = xp.take_along_axis(dy, index, axis=-1)
        right -= 1 - rest
        xp.put_along_axis(dy, index, right, axis=-1)
        return weighted_mean(scope, each, sample_weight), scale_gradient(scope, dy, sample_weight)

    def prediction(self, y: Array, scope: Scope) -> Array:
        p = scope.xp.exp(y - y.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        return p

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (4,)
        yield cls(label_smoothing=0.1), (3,)
