"""Root of the mean squared error."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.labels import ratio
from core.nn.metric import Metric


@member
class Rmse(Metric):
    """The root of each output's mean squared error, averaged; in the targets' units."""

    kind: Literal["rmse"] = "rmse"
    target: ClassVar[Literal["number"]] = "number"
    better: ClassVar[Literal["lower"]] = "lower"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        apart = (outputs.astype(xp.float64) - target).reshape(*weight.shape, -1)
        mass = weight.astype(xp.float64)[..., None]
        return {"squares": (apart * apart * mass).sum(axis=-2), "weight": mass.sum(axis=-2)}

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return xp.sqrt(ratio(xp, total["squares"], total["weight"])).mean(axis=-1)

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
