"""Cross-entropy of several targets, each with its own classes, from concatenated logits."""

from itertools import accumulate
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, Len

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.layer import Scope, ShapeError
from core.nn.loss import Loss, mean_over_samples
from core.nn.ops.logits import softmax


@member
class GroupedCrossEntropy(Loss):
    """The sum over targets of `-sum t log softmax(y)`, gradient `softmax(y) - t` in each group.

    `groups` holds the number of classes of each target: with (3, 2), the first three outputs are
    logits of the first target, the last two of the second. Targets are concatenated one-hot rows.
    Averaged over samples. Caruana, "Multitask Learning" (1997), section 1.
    """

    kind: Literal["grouped_cross_entropy"] = "grouped_cross_entropy"
    target: ClassVar[Literal["classes"]] = "classes"
    groups: Annotated[tuple[Annotated[int, Ge(2), Le(1_000_000)], ...], Len(1, 10_000)]
    EXAMPLES: ClassVar[Examples] = (({"groups": (3, 2)}, (5,)), ({"groups": (4,)}, (4,)))

    def spans(self) -> list[slice]:
        """Return the slice of outputs of each target."""
        stops = list(accumulate(self.groups))
        return [slice(stop - size, stop) for stop, size in zip(stops, self.groups, strict=True)]

    def check(self, shape: Shape) -> None:
        if shape != (sum(self.groups),):
            raise ShapeError(
                f"groups of {', '.join(map(str, self.groups))} classes need outputs of shape "
                f"({sum(self.groups)},), got {shape}"
            )

    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        xp = scope.xp
        z = scope.buffer("z", y.shape)
        dy = scope.buffer("dy", y.shape)
        for span in self.spans():
            part, e = z[..., span], dy[..., span]
            xp.subtract(y[..., span], y[..., span].max(axis=-1, keepdims=True), out=part)
            xp.exp(part, out=e)
            total = e.sum(axis=-1, keepdims=True)
            e /= total
            part -= xp.log(total)
        z *= target
        dy -= target
        return -mean_over_samples(z.sum(axis=-1), dy, sample_weight), dy

    def prediction(self, y: Array, scope: Scope) -> Array:
        return scope.xp.concatenate([softmax(y[..., s], scope) for s in self.spans()], axis=-1)

    @classmethod
    def observes(cls) -> str:
        return "binary"
