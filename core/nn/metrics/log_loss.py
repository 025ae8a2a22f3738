"""Log loss."""

from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.measures.labels import by_class
from core.nn.measures.means import SampleMean


@member
class LogLoss(SampleMean):
    """Negative logarithm of the probability predicted for the true label, averaged.

    Probabilities are at least the machine epsilon of their precision, so the loss is finite. Good,
    "Rational Decisions" (1952).
    """

    kind: Literal["log_loss"] = "log_loss"
    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["lower"]] = "lower"
    sum_name: ClassVar[str] = "loss"

    def values(self, xp: Any, outputs: Array, target: Array, samples: Shape) -> Array:
        epsilon = float(xp.finfo(outputs.dtype).eps)
        if by_class(outputs, target):
            p = xp.take_along_axis(outputs, target[..., None], axis=-1)
        else:
            p = xp.where(target > 0.5, outputs, 1 - outputs).reshape(*samples, -1)
        return -xp.log(xp.maximum(p.astype(xp.float64), epsilon)).mean(axis=-1)
