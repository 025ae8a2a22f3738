"""Base classes of losses that take logits, of classes or of binary outputs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Gt

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Scope
from core.nn.loss import Loss
from core.nn.measures.pointwise import PointwiseLoss
from core.nn.ops.logits import ClassWeights, balanced, check_classes, class_array, sigmoid, softmax


@member
class ClassLoss(Loss):
    """Base of losses of one logit per class; `class_weights` are the weights of the classes."""

    class_weights: ClassWeights = None

    def fitted(self, counts: Sequence[float]) -> Self:
        if self.class_weights != "balanced":
            return self
        return replace(self, class_weights=balanced(counts))

    @property
    def is_fitted(self) -> bool:
        return self.class_weights != "balanced"

    @property
    def weighs_classes(self) -> bool:
        return self.class_weights is not None

    def check(self, shape: Shape) -> None:
        check_classes(self.class_weights, shape)

    def mass(self, target: Array, scope: Scope, sample_weight: Array | None = None) -> Any:
        weights = class_array(self.class_weights, scope)
        if weights is None or self.target != "class":
            return super().mass(target, scope, sample_weight)
        each = weights[target]
        return (each if sample_weight is None else each * sample_weight).sum(axis=-1)

    def prediction(self, y: Array, scope: Scope) -> Array:
        return softmax(y, scope)


@member
class BinaryLoss(PointwiseLoss):
    """Base of losses of independent binary outputs."""

    target: ClassVar[Literal["binary"]] = "binary"

    def prediction(self, y: Array, scope: Scope) -> Array:
        return sigmoid(y, scope)


@member
class WeightedBinaryLoss(BinaryLoss):
    """Base of binary losses that weight ones by `positive_weight` and zeros by 1.

    `balanced` is the ratio of zeros to ones in the training data.
    """

    positive_weight: Annotated[float, Gt(0)] | Literal["balanced"] = 1.0

    def fitted(self, counts: Sequence[float]) -> Self:
        if self.positive_weight != "balanced":
            return self
        zeros, ones = (float(count) for count in counts)
        return replace(self, positive_weight=max(zeros, 1.0) / max(ones, 1.0))

    @property
    def is_fitted(self) -> bool:
        return self.positive_weight != "balanced"

    @property
    def weighs_classes(self) -> bool:
        return self.positive_weight != 1

    @property
    def ones_weight(self) -> float:
        """`positive_weight` as a number. Raises ValueError when it is `balanced` and not fitted."""
        if isinstance(self.positive_weight, str):
            raise ValueError("a balanced positive weight must be fitted to the training data first")
        return self.positive_weight
