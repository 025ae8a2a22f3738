"""F1."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.labels import Average, averaged, label_counts
from core.nn.metric import Metric


@member
class F1(Metric):
    """Mean of precision and recall, harmonic: `2 both / (predicted + actual)` by label, averaged.

    van Rijsbergen, "Information Retrieval" (1979), chapter 7, with equal weights.
    """

    kind: Literal["f1"] = "f1"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"
    average: Average = "macro"

    @property
    def name(self) -> str:
        return self.kind if self.average == "macro" else f"{self.kind}_{self.average}"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        return label_counts(xp, outputs, target, weight)

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        whole = total["predicted"] + total["actual"]
        return averaged(xp, 2 * total["both"], whole, total, self.average)

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (4,)
        yield cls(average="micro"), (3,)
        yield cls(average="weighted"), (2,)
