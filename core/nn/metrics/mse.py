"""Mean squared error."""

from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.means import ErrorMean


@member
class Mse(ErrorMean):
    """`(y - t)^2`, averaged over outputs and samples."""

    kind: Literal["mse"] = "mse"
    sum_name: ClassVar[str] = "squares"

    def errors(self, xp: Any, difference: Array, target: Array) -> Array:
        return difference * difference
