"""Matthews correlation coefficient."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.measures.labels import by_class, label_counts, ratio
from core.nn.metric import Metric


@member
class Mcc(Metric):
    """How predictions and truth go together: 1 always, 0 no more than chance, -1 never.

    Of the counts of all pairs of classes: Gorodkin, "Comparing Two K-Category Assignments by a
    K-Category Correlation Coefficient" (2004); with two classes Matthews's of 1975. Yes-or-no
    outputs are averaged.
    """

    kind: Literal["mcc"] = "mcc"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        counts = label_counts(xp, outputs, target, weight)
        if not by_class(outputs, target):
            no_said = counts["every"] - counts["predicted"]
            no = counts["every"] - counts["actual"]
            both_no = no - counts["predicted"] + counts["both"]
            pairs = {"both": both_no, "predicted": no_said, "actual": no}
            for name, rest in pairs.items():
                counts[name] = xp.stack([counts[name], rest], axis=-1)
        return counts

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        said, true = total["predicted"], total["actual"]
        whole = true.sum(axis=-1)
        together = total["both"].sum(axis=-1) * whole - (said * true).sum(axis=-1)
        square = whole * whole  # a power of a single number is rounded otherwise than of an array
        spread = (square - (said * said).sum(axis=-1)) * (square - (true * true).sum(axis=-1))
        each = ratio(xp, together, xp.sqrt(xp.maximum(spread, 0.0)))
        return each.mean(axis=-1) if each.ndim == total["every"].ndim else each

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (4,)
