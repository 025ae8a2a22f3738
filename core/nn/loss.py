"""What a loss is: how wrong the outputs are, as one number a network, and its gradient."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Literal

from core.family import Family
from core.nn.array import Array, Shape
from core.nn.layer import Scope


class Loss(Family):
    """Compares outputs with targets.

    `target` says what targets are: `class`, integers `(*stack, batch)`; `binary`, zeros and ones,
    or `number`, reals, both shaped like the outputs. `sample_weight` is `(*stack, batch)` or None.
    """

    target: ClassVar[Literal["class", "binary", "number"]]

    @abstractmethod
    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        """The mean loss over the batch, shape `stack`, and its gradient dy, shaped like `y`."""

    def prediction(self, y: Array, scope: Scope) -> Array:
        """What raw outputs mean: probabilities for classes and booleans, numbers as they are."""
        return y

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator[tuple["Loss", Shape]]:
        """Members worth testing, each with an output shape."""


def weighted_mean(scope: Scope, each: Array, sample_weight: Array | None) -> Array:
    """The mean of per-sample losses `(*stack, batch)` over the batch, weighted if asked."""
    if sample_weight is None:
        return each.mean(axis=-1)
    total: Array = (each * sample_weight).sum(axis=-1)
    return total / sample_weight.sum(axis=-1)


def scale_gradient(scope: Scope, dy: Array, sample_weight: Array | None) -> Array:
    """Turn per-sample gradients into those of the (weighted) mean, in place."""
    features = dy.ndim - len(scope.stack) - 1
    if sample_weight is None:
        dy *= 1.0 / dy.shape[len(scope.stack)]
    else:
        share = sample_weight / sample_weight.sum(axis=-1, keepdims=True)
        dy *= share.reshape(*share.shape, *(1,) * features)
    return dy
