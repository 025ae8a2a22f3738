"""Mean absolute percentage error."""

from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.means import ErrorMean


@member
class Mape(ErrorMean):
    """`|y - t| / |t|`, averaged over outputs and samples: 0.1 means ten percent.

    `|t|` is at least the machine epsilon of float64, so targets of 0 give very large values.
    """

    kind: Literal["mape"] = "mape"
    sum_name: ClassVar[str] = "share"

    def errors(self, xp: Any, difference: Array, target: Array) -> Array:
        size = xp.abs(target.astype(xp.float64))
        return xp.abs(difference) / xp.maximum(size, float(xp.finfo(xp.float64).eps))
