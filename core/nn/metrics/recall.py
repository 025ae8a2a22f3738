"""Recall."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.labels import Average, averaged, label_counts
from core.nn.metric import Metric


@member
class Recall(Metric):
    """Of what is true, the share that was found: `both / actual` of each label, averaged.

    The labels are the classes, or each yes-or-no output; a single output has one label, yes.
    """

    kind: Literal["recall"] = "recall"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"
    average: Average = "macro"

    @property
    def name(self) -> str:
        return self.kind if self.average == "macro" else f"{self.kind}_{self.average}"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        return label_counts(xp, outputs, target, weight)

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return averaged(xp, total["both"], total["actual"], total, self.average)

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (4,)
        yield cls(average="micro"), (3,)
        yield cls(average="weighted"), (2,)
