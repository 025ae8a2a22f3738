"""Focal loss of independent binary outputs, from logits."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from core.family import Examples, member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.measures.classification import WeightedBinaryLoss
from core.nn.ops.logits import sigmoid, softplus_tail


@member
class BinaryFocal(WeightedBinaryLoss):
    """`-(1 - p)^gamma log p` of the probability p of the true label, averaged over outputs.

    With `q = 1 - p`, the gradient of a one is `q^gamma (gamma p log p - q)`, that of a zero its
    mirror image. `positive_weight` weights ones relative to zeros; `balanced` is the ratio of zeros
    to ones in the training data. Lin et al., "Focal Loss for Dense Object Detection" (2017),
    equation 4.
    """

    kind: Literal["binary_focal"] = "binary_focal"
    gamma: Annotated[float, Ge(0)] = 2.0
    EXAMPLES: ClassVar[Examples] = (({}, (1,)), ({"gamma": 0.5, "positive_weight": 2.0}, (2, 3)))

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        gamma = scope.number(self.gamma)
        rest = softplus_tail(y, scope, out=scope.buffer("rest", y.shape))
        log_p = xp.minimum(y, 0) - rest
        log_q = xp.minimum(-y, 0) - rest
        p, q = sigmoid(y, scope), sigmoid(-y, scope)
        ones = target * scope.number(self.ones_weight)
        zeros = 1 - target
        ones_factor, zeros_factor = ones * q**gamma, zeros * p**gamma
        each = -(ones_factor * log_p + zeros_factor * log_q)
        dy = ones_factor * (gamma * p * log_p - q) + zeros_factor * (p - gamma * q * log_q)
        return each, dy
