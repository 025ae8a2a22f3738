"""What a loss is: how wrong the outputs are, as one number a network, and its gradient."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from core.family import Family
from core.nn.array import Array, Shape
from core.nn.layer import Scope

Target: TypeAlias = Literal["class", "classes", "binary", "number", "distribution"]
"""What targets are: a class each, or zeros and ones, reals, shares of all classes for each output.

`classes` are several classes each: the one-hot rows of all of them, side by side.

A `class` is an integer and targets are `(*stack, batch)`; all others are shaped like the outputs.
"""

SMALLEST = 1e-30
"""Keeps a batch whose samples all weigh nothing from dividing by zero."""


class Loss(Family):
    """Compares outputs with targets of kind `target`; sample weights are `(*stack, batch)` or None.

    A loss that `averages` is a mean over the samples, weighted if asked; others are their sum.
    """

    target: ClassVar[Target]
    averages: ClassVar[bool] = True

    @abstractmethod
    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        """The loss of the batch, shape `stack`, and its gradient dy, shaped like `y`.

        dy lives in a reused buffer.
        """

    def mass(self, target: Array, scope: Scope, sample_weight: Array | None = None) -> Any:
        """What `forward` divides the sum over the batch by, shape `stack`.

        Means of several batches, weighted by it, make the mean of all samples.
        """
        if sample_weight is None:
            return float(target.shape[len(scope.stack)])
        return sample_weight.sum(axis=-1)

    def prediction(self, y: Array, scope: Scope) -> Array:
        """What raw outputs mean: probabilities for classes and booleans, numbers as they are."""
        return y

    def observed(self, target: Array) -> Array:
        """Targets as metrics read them: of the shares of classes the largest, as a class."""
        return target.argmax(axis=-1) if self.target == "distribution" else target

    @classmethod
    def observes(cls) -> str:
        """What kind of targets metrics are shown."""
        return "class" if cls.target == "distribution" else cls.target

    def fitted(self, counts: Sequence[float]) -> Self:
        """This loss with all that depends on the training data worked out.

        `counts` says how often each class occurs in it (zeros, then ones, for binary targets).
        """
        return self

    @property
    def is_fitted(self) -> bool:
        """Whether nothing is left that depends on the training data: `forward` may be called."""
        return True

    def check(self, shape: Shape) -> None:
        """Raise ShapeError if outputs of feature shape `shape` do not fit the hyperparameters."""
        return

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator[tuple["Loss", Shape]]:
        """Members worth testing, each with an output shape."""


def occurrences(kind: str, targets: Array, outputs: int) -> list[float]:
    """How often each class is in `targets` (on the host), as `Loss.fitted` wants to know it.

    `outputs` is how many classes there are at least; for reals there is nothing to count.
    """
    if kind == "class":
        return np.bincount(targets, minlength=outputs).tolist()
    if kind == "binary":
        ones = float((targets > 0.5).sum())
        return [targets.size - ones, ones]
    if kind == "distribution":
        return targets.sum(axis=0, dtype=np.float64).tolist()
    return []


def shares(sample_weight: Array, dtype: Any) -> Array:
    """Weights divided by their sum: what each sample is of the whole, `(*stack, batch)`."""
    weight = sample_weight.astype(dtype, copy=False)
    return weight / (weight.sum(axis=-1, keepdims=True) + SMALLEST)


def mean_over_samples(each: Array, dy: Array, sample_weight: Array | None) -> Array:
    """The mean of `each (*stack, batch)` over samples, weighted if there are weights.

    `dy (*stack, batch, outputs)`, the gradient of each sample's own value, becomes the mean's.
    """
    if sample_weight is None:
        share: float | Array = 1.0 / each.shape[-1]
        dy *= share
    else:
        share = shares(sample_weight, each.dtype)
        dy *= share[..., None]
    return (each * share).sum(axis=-1)


def plain(value: Any, number: float) -> bool:
    """Whether a hyperparameter is this one number for all networks: its work can be left out."""
    return isinstance(value, float | int) and value == number
