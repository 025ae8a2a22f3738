"""Root of the mean squared error."""

from typing import Any, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.labels import ratio
from core.nn.measures.squares import SquaredMetric


@member
class Rmse(SquaredMetric):
    """The root of each output's mean squared error, averaged; in the targets' units."""

    kind: Literal["rmse"] = "rmse"

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return xp.sqrt(ratio(xp, total["squares"], total["weight"])).mean(axis=-1)
