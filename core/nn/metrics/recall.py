"""Recall."""

from typing import Any, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.labels import LabelMetric, averaged


@member
class Recall(LabelMetric):
    """Fraction of true labels that are predicted, `both / actual`, averaged over labels."""

    kind: Literal["recall"] = "recall"

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return averaged(xp, total["both"], total["actual"], total, self.average)
