"""Focal loss over classes, from logits."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from core.family import Examples, member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import SMALLEST
from core.nn.measures.classification import ClassLoss
from core.nn.ops.logits import class_array, exponentials, flat_index

TINY = 1e-30
"""The least divisor, smaller than any relevant probability, so that there is no 0 / 0."""


@member
class Focal(ClassLoss):
    """`-(1 - p)^gamma log p` of the probability p of the true class: reduces easy samples.

    With `q = 1 - p` the gradient is `(q^gamma - gamma p q^(gamma - 1) log p) (softmax - one_hot)`.
    `class_weights` are alpha; as in cross_entropy, the sum is divided by the weights of the classes
    of the samples, so `gamma` 0 equals cross_entropy. Lin et al., "Focal Loss for Dense Object
    Detection" (2017), equations 4 and 5.
    """

    kind: Literal["focal"] = "focal"
    target: ClassVar[Literal["class"]] = "class"
    gamma: Annotated[float, Ge(0)] = 2.0
    EXAMPLES: ClassVar[Examples] = (
        ({}, (4,)),
        ({"gamma": 0.5, "class_weights": (0.5, 2.0, 1.0)}, (3,)),
    )

    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        xp = scope.xp
        z, dy, total = exponentials(y, scope)
        index = flat_index(target, y.shape[-1], scope)
        log_p = z.reshape(-1)[index].reshape(target.shape) - xp.log(total[..., 0])
        wrong = -xp.expm1(log_p)
        gamma = scope.number(self.gamma, 1)
        far = wrong**gamma
        steep = far * (1 - gamma * xp.exp(log_p) * log_p / xp.maximum(wrong, TINY))
        share = xp.ones_like(log_p) if sample_weight is None else sample_weight
        share = share.astype(y.dtype, copy=False)
        weights = class_array(self.class_weights, scope)
        if weights is not None:
            share = share * weights[target]
        share = share / (share.sum(axis=-1, keepdims=True) + SMALLEST)
        steep *= share
        dy *= steep[..., None] / total
        dy.reshape(-1)[index] -= steep.reshape(-1)
        return -(far * log_p * share).sum(axis=-1), dy
