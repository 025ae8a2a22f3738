"""Logarithm of the hyperbolic cosine."""

import math
from typing import ClassVar, Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.measures.pointwise import PointwiseLoss


@member
class LogCosh(PointwiseLoss):
    """`log cosh(y - t)`, gradient `tanh(y - t)`: like squares when near, absolute when far.

    Computed as `|d| + log(1 + exp(-2 |d|)) - log 2`, which never overflows. Green, "Bayesian
    Reconstructions from Emission Tomography Data Using a Modified EM Algorithm" (1990).
    """

    kind: Literal["log_cosh"] = "log_cosh"
    target: ClassVar[Literal["number"]] = "number"

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        dy = xp.subtract(y, target, out=scope.buffer("dy", y.shape))
        far = xp.abs(dy, out=scope.buffer("far", y.shape))
        each = xp.multiply(far, -2.0, out=scope.buffer("each", y.shape))
        xp.exp(each, out=each)
        xp.log1p(each, out=each)
        each += far
        each -= math.log(2)
        return each, xp.tanh(dy, out=dy)
