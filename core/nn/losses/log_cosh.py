"""Logarithm of the hyperbolic cosine."""

import math
from typing import Literal

from core.family import member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.measures.pointwise import PointwiseLoss


@member
class LogCosh(PointwiseLoss):
    """`log cosh(y - t)`, gradient `tanh(y - t)`: squared for small, absolute for large errors.

    Computed as `|d| + log(1 + exp(-2 |d|)) - log 2`, which does not overflow. Green, "Bayesian
    Reconstructions from Emission Tomography Data Using a Modified EM Algorithm" (1990).
    """

    kind: Literal["log_cosh"] = "log_cosh"

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        dy = xp.subtract(y, target, out=scope.buffer("dy", y.shape))
        absolute = xp.abs(dy, out=scope.buffer("absolute", y.shape))
        each = xp.multiply(absolute, -2.0, out=scope.buffer("each", y.shape))
        xp.exp(each, out=each)
        xp.log1p(each, out=each)
        each += absolute
        each -= math.log(2)
        return each, xp.tanh(dy, out=dy)

    @property
    def quantile(self) -> float:
        return 0.5
