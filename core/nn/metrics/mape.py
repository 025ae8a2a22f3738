"""Mean absolute percentage error."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.measures.labels import ratio
from core.nn.metric import Metric


@member
class Mape(Metric):
    """`|y - t| / |t|`, averaged: 0.1 is ten percent.

    A target of 0 is taken for the smallest step of a double: the metric is then huge, and useless.
    """

    kind: Literal["mape"] = "mape"
    target: ClassVar[Literal["number"]] = "number"
    better: ClassVar[Literal["lower"]] = "lower"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        apart = (outputs.astype(xp.float64) - target).reshape(*weight.shape, -1)
        size = xp.abs(target.astype(xp.float64)).reshape(*weight.shape, -1)
        share = xp.abs(apart) / xp.maximum(size, float(xp.finfo(xp.float64).eps))
        mass = weight.astype(xp.float64)[..., None]
        return {"share": (share * mass).sum(axis=-2), "weight": mass.sum(axis=-2)}

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return ratio(xp, total["share"], total["weight"]).mean(axis=-1)

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
