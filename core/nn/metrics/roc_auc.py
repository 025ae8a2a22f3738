"""Area under the receiver operating characteristic."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.curves import average_area, measured, roc_area
from core.nn.metric import Metric


@member
class RocAuc(Metric):
    """How likely a random yes scores above a random no; 1/2 is guessing.

    More than two classes count as one against the rest each; outputs each for itself; labels that
    do not occur, or that all samples have, are left out of the mean. Hanley and McNeil, "The
    Meaning and Use of the Area under a ROC Curve" (1982).
    """

    kind: Literal["roc_auc"] = "roc_auc"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"
    average: Literal["macro", "weighted"] = "macro"

    @property
    def name(self) -> str:
        return self.kind if self.average == "macro" else f"{self.kind}_{self.average}"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        return measured(xp, outputs, target, weight)

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return average_area(xp, total, roc_area, self.average == "weighted")

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (4,)
        yield cls(average="weighted"), (3,)
        yield cls(), (2,)
