"""Mean absolute error."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from core.family import member
from core.nn.array import Array, Shape
from core.nn.measures.labels import ratio
from core.nn.metric import Metric


@member
class Mae(Metric):
    """`|y - t|`, averaged over outputs and samples."""

    kind: Literal["mae"] = "mae"
    target: ClassVar[Literal["number"]] = "number"
    better: ClassVar[Literal["lower"]] = "lower"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        apart = (outputs.astype(xp.float64) - target).reshape(*weight.shape, -1)
        mass = weight.astype(xp.float64)[..., None]
        return {"apart": (xp.abs(apart) * mass).sum(axis=-2), "weight": mass.sum(axis=-2)}

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return ratio(xp, total["apart"], total["weight"]).mean(axis=-1)

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(), (1,)
        yield cls(), (2, 3)
