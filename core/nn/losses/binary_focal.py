"""Focal loss of independent yes-or-no outputs, from logits."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss
from core.nn.measures.classification import WeightedBinaryLoss
from core.nn.ops.logits import sigmoid, softplus


@member
class BinaryFocal(WeightedBinaryLoss):
    """`-(1 - p)^gamma log p` of the probability p given to the truth, averaged over outputs.

    With `q = 1 - p`: for a one the gradient is `q^gamma (gamma p log p - q)`, for a zero its
    mirror image. `positive_weight` is how much a one counts against a zero, `balanced` their ratio
    in the training data. Lin et al., "Focal Loss for Dense Object Detection" (2017), equation 4.
    """

    kind: Literal["binary_focal"] = "binary_focal"
    gamma: Annotated[float, Ge(0)] = 2.0

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        gamma = scope.number(self.gamma)
        rest = softplus(y, scope, out=scope.buffer("rest", y.shape))
        log_yes = xp.minimum(y, 0) - rest
        log_no = xp.minimum(-y, 0) - rest
        yes, no = sigmoid(y, scope), sigmoid(-y, scope)
        ones = target * scope.number(self.ones_weight)
        zeros = 1 - target
        far_yes, far_no = ones * no**gamma, zeros * yes**gamma
        each = -(far_yes * log_yes + far_no * log_no)
        dy = far_yes * (gamma * yes * log_yes - no) + far_no * (yes - gamma * no * log_no)
        return each, dy

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (1,)
        yield cls(gamma=0.5, positive_weight=2.0), (2, 3)
