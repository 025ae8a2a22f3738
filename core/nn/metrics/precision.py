"""Precision."""

from typing import Any, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.labels import LabelMetric, averaged


@member
class Precision(LabelMetric):
    """Fraction of predictions that are true, `both / predicted`, averaged over labels."""

    kind: Literal["precision"] = "precision"

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return averaged(xp, total["both"], total["predicted"], total, self.average)
