"""Area under the precision-recall curve."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.curves import average_area, average_precision, measured
from core.nn.metric import Metric


@member
class PrAuc(Metric):
    """Average precision: the precisions at all thresholds, each by the recall it adds.

    More than two classes count as one against the rest each; outputs each for itself; labels that
    do not occur, or that all samples have, are left out of the mean. Davis and Goadrich, "The
    Relationship Between Precision-Recall and ROC Curves" (2006), on why not to draw lines.
    """

    kind: Literal["pr_auc"] = "pr_auc"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"
    average: Literal["macro", "weighted"] = "macro"

    @property
    def name(self) -> str:
        return self.kind if self.average == "macro" else f"{self.kind}_{self.average}"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        return measured(xp, outputs, target, weight)

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return average_area(xp, total, average_precision, self.average == "weighted")

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (4,)
        yield cls(average="weighted"), (3,)
        yield cls(), (2,)
