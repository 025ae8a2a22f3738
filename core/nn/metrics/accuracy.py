"""Accuracy."""

from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.measures.labels import by_class
from core.nn.measures.means import SampleMean


@member
class Accuracy(SampleMean):
    """Fraction of samples whose most probable class is the true one.

    For binary outputs: fraction of samples with every output on the true side of 1/2.
    """

    kind: Literal["accuracy"] = "accuracy"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"
    sum_name: ClassVar[str] = "right"

    def values(self, xp: Any, outputs: Array, target: Array, samples: Shape) -> Array:
        if by_class(outputs, target):
            return outputs.argmax(axis=-1) == target
        return ((outputs > 0.5) == (target > 0.5)).reshape(*samples, -1).all(axis=-1)
