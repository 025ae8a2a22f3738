"""Brier score."""

from typing import Any, ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.measures.labels import by_class, one_hot
from core.nn.measures.means import SampleMean


@member
class Brier(SampleMean):
    """Squared distance of the probabilities from the one-hot target, averaged over samples.

    The squares are summed over classes (and halved for two classes) and averaged over binary
    outputs. Brier, "Verification of Forecasts Expressed in Terms of Probability" (1950).
    """

    kind: Literal["brier"] = "brier"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["lower"]] = "lower"
    sum_name: ClassVar[str] = "squares"
    EXAMPLES: ClassVar[Examples] = (({}, (4,)), ({}, (2,)))

    def values(self, xp: Any, outputs: Array, target: Array, samples: Shape) -> Array:
        if by_class(outputs, target):
            classes = outputs.shape[-1]
            difference = outputs - one_hot(xp, target, classes)
            return (difference * difference).sum(axis=-1) * (0.5 if classes == 2 else 1.0)
        difference = (outputs.astype(xp.float64) - target).reshape(*samples, -1)
        return (difference * difference).mean(axis=-1)
