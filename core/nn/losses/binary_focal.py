"""Focal loss of independent yes-or-no outputs, from logits."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Ge, Gt

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.logits import sigmoid, softplus
from core.nn.loss import Loss
from core.nn.pointwise import PointwiseLoss


@member
class BinaryFocal(PointwiseLoss):
    """`-(1 - p)^gamma log p` of the probability p given to the truth, averaged over outputs.

    With `q = 1 - p`: for a one the gradient is `q^gamma (gamma p log p - q)`, for a zero its
    mirror image. `positive_weight` is how much a one counts against a zero, `balanced` their ratio
    in the training data. Lin et al., "Focal Loss for Dense Object Detection" (2017), equation 4.
    """

    kind: Literal["binary_focal"] = "binary_focal"
    target: ClassVar[Literal["binary"]] = "binary"
    gamma: Annotated[float, Ge(0)] = 2.0
    positive_weight: Annotated[float, Gt(0)] | Literal["balanced"] = 1.0

    def fitted(self, counts: Sequence[float]) -> Self:
        if self.positive_weight != "balanced":
            return self
        zeros, ones = (float(count) for count in counts)
        return replace(self, positive_weight=max(zeros, 1.0) / max(ones, 1.0))

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        if isinstance(self.positive_weight, str):
            raise ValueError("a balanced positive weight must be fitted to the training data first")
        gamma = scope.number(self.gamma)
        rest = softplus(y, scope)
        log_yes = xp.minimum(y, 0) - rest
        log_no = xp.minimum(-y, 0) - rest
        yes, no = sigmoid(y, scope), sigmoid(-y, scope)
        ones = target * scope.number(self.positive_weight)
        zeros = 1 - target
        far_yes, far_no = ones * no**gamma, zeros * yes**gamma
        each = -(far_yes * log_yes + far_no * log_no)
        dy = far_yes * (gamma * yes * log_yes - no) + far_no * (yes - gamma * no * log_no)
        return each, dy

    def prediction(self, y: Array, scope: Scope) -> Array:
        return sigmoid(y, scope)

    @classmethod
    def examples(cls) -> Iterator[tuple[Loss, Shape]]:
        yield cls(), (1,)
        yield cls(gamma=0.5, positive_weight=2.0), (2, 3)
