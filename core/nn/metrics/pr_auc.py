"""Area under the precision-recall curve."""

from typing import Any, Literal

from core.family import member
from core.nn.array import Array
from core.nn.measures.curves import CurveMetric
from core.nn.measures.labels import ratio


@member
class PrAuc(CurveMetric):
    """Average precision: the precision at each threshold, weighted by the recall it adds.

    Precision is not interpolated, following Davis and Goadrich, "The Relationship Between
    Precision-Recall and ROC Curves" (2006).
    """

    kind: Literal["pr_auc"] = "pr_auc"

    def area(self, xp: Any, hits: Array, misses: Array) -> Array:
        added = hits - xp.concatenate([xp.zeros(1, hits.dtype), hits[:-1]])
        return ratio(xp, (added * ratio(xp, hits, hits + misses)).sum(), hits[-1])
