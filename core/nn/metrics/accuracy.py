"""Accuracy."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.measures.labels import by_class, ratio
from core.nn.metric import Metric


@member
class Accuracy(Metric):
    """Share of samples whose likeliest class is the right one.

    With yes-or-no outputs: share of samples whose every output is on the right side of 1/2.
    """

    kind: Literal["accuracy"] = "accuracy"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        if by_class(outputs, target):
            right = outputs.argmax(axis=-1) == target
        else:
            right = ((outputs > 0.5) == (target > 0.5)).reshape(*weight.shape, -1).all(axis=-1)
        mass = weight.astype(xp.float64)
        return {"right": (right * mass).sum(axis=-1), "weight": mass.sum(axis=-1)}

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return ratio(xp, total["right"], total["weight"])

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (4,)
