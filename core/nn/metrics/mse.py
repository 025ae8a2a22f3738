"""Mean squared error."""

from typing import Any, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.labels import ratio
from core.nn.measures.squares import SquaredMetric


@member
class Mse(SquaredMetric):
    """`(y - t)^2`, averaged over outputs and samples."""

    kind: Literal["mse"] = "mse"

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return ratio(xp, total["squares"], total["weight"]).mean(axis=-1)
