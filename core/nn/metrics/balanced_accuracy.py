"""Balanced accuracy."""

from typing import Any, ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array
from core.nn.measures.labels import by_class, indicators, label_counts, ratio
from core.nn.metric import Metric


@member
class BalancedAccuracy(Metric):
    """The mean recall of the classes that occur.

    For binary outputs: the mean recall of ones and zeros, averaged over outputs. Brodersen et
    al., "The Balanced Accuracy and Its Posterior Distribution" (2010).
    """

    kind: Literal["balanced_accuracy"] = "balanced_accuracy"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"
    EXAMPLES: ClassVar[Examples] = (({}, (4,)),)

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        counts = label_counts(xp, outputs, target, weight)
        if not by_class(outputs, target):
            predicted, true = indicators(xp, outputs, target, weight)
            negative = (1 - true) * weight.astype(xp.float64)[..., None]
            both = (negative * (1 - predicted)).sum(axis=-2)
            counts["both"] = xp.stack([counts["both"], both], axis=-1)
            counts["actual"] = xp.stack([counts["actual"], negative.sum(axis=-2)], axis=-1)
        return counts

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        occurs = (total["actual"] > 0).astype(xp.float64)
        recall = ratio(xp, total["both"], total["actual"])
        mean = ratio(xp, recall.sum(axis=-1), occurs.sum(axis=-1))
        return mean.mean(axis=-1) if mean.ndim == total["every"].ndim else mean
