"""Mean absolute error."""

from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.means import ErrorMean


@member
class Mae(ErrorMean):
    """`|y - t|`, averaged over outputs and samples."""

    kind: Literal["mae"] = "mae"
    sum_name: ClassVar[str] = "apart"

    def errors(self, xp: Any, difference: Array, target: Array) -> Array:
        return xp.abs(difference)
