"""Log loss."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.measures.labels import by_class, ratio
from core.nn.metric import Metric


@member
class LogLoss(Metric):
    """Minus the logarithm of the probability that was given to the truth, averaged.

    Probabilities are held above the smallest step of their precision, so none is infinite. Good,
    "Rational Decisions" (1952).
    """

    kind: Literal["log_loss"] = "log_loss"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["lower"]] = "lower"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        tiny = float(xp.finfo(outputs.dtype).eps)
        if by_class(outputs, target):
            given = xp.take_along_axis(outputs, target[..., None], axis=-1)
        else:
            given = xp.where(target > 0.5, outputs, 1 - outputs).reshape(*weight.shape, -1)
        each = -xp.log(xp.maximum(given.astype(xp.float64), tiny)).mean(axis=-1)
        mass = weight.astype(xp.float64)
        return {"loss": (each * mass).sum(axis=-1), "weight": mass.sum(axis=-1)}

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return ratio(xp, total["loss"], total["weight"])

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (4,)
