"""Top-k accuracy."""

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.measures.means import SampleMean


@member
class TopKAccuracy(SampleMean):
    """Fraction of samples whose true class is among the `k` most probable ones.

    Of equally probable classes the one with the lower number ranks first.
    """

    kind: Literal["top_k_accuracy"] = "top_k_accuracy"
    target: ClassVar[Literal["class"]] = "class"
    better: ClassVar[Literal["higher"]] = "higher"
    sum_name: ClassVar[str] = "right"
    k: Annotated[int, Ge(1)] = 5
    EXAMPLES: ClassVar[Examples] = (({"k": 2}, (4,)), ({}, (6,)))

    @property
    def name(self) -> str:
        return f"top_{self.k}_accuracy"

    def values(self, xp: Any, outputs: Array, target: Array, samples: Shape) -> Array:
        own = xp.take_along_axis(outputs, target[..., None], axis=-1)
        earlier = xp.arange(outputs.shape[-1]) < target[..., None]
        ranked_above = ((outputs > own) | ((outputs == own) & earlier)).sum(axis=-1)
        return ranked_above < self.k
