"""Brier score."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.measures.labels import by_class, one_hot, ratio
from core.nn.metric import Metric


@member
class Brier(Metric):
    """Squared distance of the probabilities from the truth, averaged over samples.

    Summed over the classes, of which two count half; averaged over yes-or-no outputs. Brier,
    "Verification of Forecasts Expressed in Terms of Probability" (1950).
    """

    kind: Literal["brier"] = "brier"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["lower"]] = "lower"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        if by_class(outputs, target):
            classes = outputs.shape[-1]
            apart = outputs - one_hot(xp, target, classes)
            each = (apart * apart).sum(axis=-1) * (0.5 if classes == 2 else 1.0)
        else:
            apart = (outputs.astype(xp.float64) - target).reshape(*weight.shape, -1)
            each = (apart * apart).mean(axis=-1)
        mass = weight.astype(xp.float64)
        return {"squares": (each * mass).sum(axis=-1), "weight": mass.sum(axis=-1)}

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return ratio(xp, total["squares"], total["weight"])

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (4,)
        yield cls(), (2,)
