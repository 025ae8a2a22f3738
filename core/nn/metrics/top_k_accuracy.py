"""Top-k accuracy."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from core.family import member
from core.nn.array import Array, Shape
from core.nn.measures.labels import ratio
from core.nn.metric import Metric


@member
class TopKAccuracy(Metric):
    """Share of samples whose class is among the `k` likeliest; of equals the first is likelier."""

    kind: Literal["top_k_accuracy"] = "top_k_accuracy"
    target: ClassVar[Literal["class"]] = "class"
    better: ClassVar[Literal["higher"]] = "higher"
    k: Annotated[int, Ge(1)] = 5

    @property
    def name(self) -> str:
        return f"top_{self.k}_accuracy"

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        own = xp.take_along_axis(outputs, target[..., None], axis=-1)
        earlier = xp.arange(outputs.shape[-1]) < target[..., None]
        above = ((outputs > own) | ((outputs == own) & earlier)).sum(axis=-1)
        mass = weight.astype(xp.float64)
        return {"right": ((above < self.k) * mass).sum(axis=-1), "weight": mass.sum(axis=-1)}

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return ratio(xp, total["right"], total["weight"])

    @classmethod
    def examples(cls) -> Iterator[tuple[Metric, Shape]]:
        yield cls(k=2), (4,)
        yield cls(), (6,)
