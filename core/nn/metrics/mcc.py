"""Matthews correlation coefficient."""

from typing import Any, ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array
from core.nn.measures.labels import by_class, label_counts, ratio
from core.nn.metric import Metric


@member
class Mcc(Metric):
    """Correlation of predicted and true classes: 1 is perfect, 0 is random, -1 is always wrong.

    Averaged over binary outputs. Gorodkin, "Comparing Two K-Category Assignments by a K-Category
    Correlation Coefficient" (2004); for two classes the coefficient of Matthews (1975).
    """

    kind: Literal["mcc"] = "mcc"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"
    EXAMPLES: ClassVar[Examples] = (({}, (4,)),)

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        counts = label_counts(xp, outputs, target, weight)
        if not by_class(outputs, target):
            actual = counts["every"] - counts["actual"]
            zeros = {
                "both": actual - counts["predicted"] + counts["both"],
                "predicted": counts["every"] - counts["predicted"],
                "actual": actual,
            }
            for name, rest in zeros.items():
                counts[name] = xp.stack([counts[name], rest], axis=-1)
        return counts

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        predicted, actual = total["predicted"], total["actual"]
        whole = actual.sum(axis=-1)
        together = total["both"].sum(axis=-1) * whole - (predicted * actual).sum(axis=-1)
        square = whole * whole  # not a power: NumPy rounds scalars and arrays differently
        spread = square - (predicted * predicted).sum(axis=-1)
        spread = spread * (square - (actual * actual).sum(axis=-1))
        each = ratio(xp, together, xp.sqrt(xp.maximum(spread, 0.0)))
        return each.mean(axis=-1) if each.ndim == total["every"].ndim else each
