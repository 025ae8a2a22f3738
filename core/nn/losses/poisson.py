"""Poisson loss of counts."""

from typing import ClassVar, Literal

import numpy as np

from core.family import member
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import SMALLEST
from core.nn.measures.pointwise import PointwiseLoss


@member
class Poisson(PointwiseLoss):
    """`exp(y) - t y`, gradient `exp(y) - t`, averaged; outputs are logarithms of expected counts.

    The negative log-likelihood of Poisson counts, up to a constant. Nelder and Wedderburn,
    "Generalized Linear Models" (1972).
    """

    kind: Literal["poisson"] = "poisson"
    target: ClassVar[Literal["number"]] = "number"

    def compare(self, y: Array, target: Array, scope: Scope) -> tuple[Array, Array]:
        xp = scope.xp
        dy = xp.exp(y, out=scope.buffer("dy", y.shape))
        each = xp.multiply(y, target, out=scope.buffer("each", y.shape))
        xp.subtract(dy, each, out=each)
        dy -= target
        return each, dy

    def prediction(self, y: Array, scope: Scope) -> Array:
        return scope.xp.exp(y)

    def constant(self, target: Array, outputs: int, weight: Array | None = None) -> Array:
        return np.log(np.maximum(super().constant(target, outputs, weight), SMALLEST))
