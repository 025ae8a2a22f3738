"""Area under the receiver operating characteristic."""

from typing import Any, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.curves import CurveMetric
from core.nn.measures.labels import ratio


@member
class RocAuc(CurveMetric):
    """Probability that a random positive scores above a random negative; 1/2 is random.

    The area under true over false positives, by the trapezoidal rule. Hanley and McNeil, "The
    Meaning and Use of the Area under a ROC Curve" (1982).
    """

    kind: Literal["roc_auc"] = "roc_auc"

    def area(self, xp: Any, hits: Array, misses: Array) -> Array:
        start = xp.zeros(1, hits.dtype)
        high = xp.concatenate([start, hits])
        width = misses - xp.concatenate([start, misses[:-1]])
        area = (width * (high[1:] + high[:-1])).sum() / 2
        return ratio(xp, area, hits[-1] * misses[-1])
