"""Hinge loss."""

from typing import ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.measures.classification import BinaryLoss


@member
class Hinge(BinaryLoss):
    """`max(0, 1 - s y)` with `s = 2 t - 1`, gradient `-s` where it is above 0; optionally squared.

    The margin loss of Cortes and Vapnik, "Support-Vector Networks" (1995). Predictions are
    sigmoid(y), which is not a calibrated probability.
    """

    kind: Literal["hinge"] = "hinge"
    squared: bool = False
    EXAMPLES: ClassVar[Examples] = (({}, (1,)), ({"squared": True}, (2, 3)))

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        sign = xp.multiply(target, 2.0, out=scope.buffer("dy", y.shape))
        sign -= 1
        each = xp.multiply(sign, y, out=scope.buffer("each", y.shape))
        xp.subtract(1, each, out=each)
        xp.maximum(each, 0, out=each)
        xp.negative(sign, out=sign)
        if self.squared:
            sign *= each
            sign *= 2.0
            each *= each
        else:
            sign *= xp.greater(each, 0, out=scope.buffer("wrong", y.shape, bool))
        return each, sign
