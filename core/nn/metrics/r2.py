"""Coefficient of determination."""

from typing import Any, ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array
from core.nn.measures.labels import ratio
from core.nn.metric import Metric


@member
class R2(Metric):
    """Explained fraction of the variance: `1 - sum (y - t)^2 / sum (t - mean t)^2`.

    Averaged over outputs. Constant targets give 1 if predicted exactly, else 0. Targets are stored
    until the end of the epoch, when their mean is known.
    """

    kind: Literal["r2"] = "r2"
    target: ClassVar[Literal["number"]] = "number"
    better: ClassVar[Literal["higher"]] = "higher"
    EXAMPLES: ClassVar[Examples] = (({}, (1,)), ({}, (2, 3)))

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        flat = target.reshape(*weight.shape, -1)
        difference = outputs.astype(xp.float64).reshape(flat.shape) - flat
        mass = weight.astype(xp.float64)
        return {
            "squares": (difference * difference * mass[..., None]).sum(axis=-2),
            "all_targets": flat,
            "all_weight": mass,
        }

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        targets, mass = total["all_targets"].astype(xp.float64), total["all_weight"][..., None]
        mean = ratio(xp, (targets * mass).sum(axis=-2), mass.sum(axis=-2))
        centered = targets - mean[..., None, :]
        whole = (centered * centered * mass).sum(axis=-2)
        missed = total["squares"]
        each = xp.where(whole > 0, 1 - ratio(xp, missed, whole), xp.where(missed > 0, 0.0, 1.0))
        return each.mean(axis=-1)
