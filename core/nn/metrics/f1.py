"""F1 score."""

from typing import Any, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.labels import LabelMetric, averaged


@member
class F1(LabelMetric):
    """Harmonic mean of precision and recall, `2 both / (predicted + actual)`, averaged over labels.

    van Rijsbergen, "Information Retrieval" (1979), chapter 7, with equal weights.
    """

    kind: Literal["f1"] = "f1"

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        whole = total["predicted"] + total["actual"]
        return averaged(xp, 2 * total["both"], whole, total, self.average)
