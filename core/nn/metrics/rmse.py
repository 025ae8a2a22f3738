"""Root of the mean squared error."""

from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.means import ErrorMean


@member
class Rmse(ErrorMean):
    """The root of each output's mean squared error, averaged; in the unit of the targets."""

    kind: Literal["rmse"] = "rmse"
    sum_name: ClassVar[str] = "squares"

    def errors(self, xp: Any, difference: Array, target: Array) -> Array:
        return difference * difference

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return xp.sqrt(self.by_output(xp, total)).mean(axis=-1)
