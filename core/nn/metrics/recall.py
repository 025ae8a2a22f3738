"""Recall."""

from typing import Any, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.labels import LabelMetric, averaged


@member
class Recall(LabelMetric):
    """Of what is true, the share that was found: `both / actual` of each label, averaged."""

    kind: Literal["recall"] = "recall"

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return averaged(xp, total["both"], total["actual"], total, self.average)
