"""The loss interface: one number per network that compares outputs with targets; its gradient."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np

from core.family import Family
from core.nn.array import Array, Shape
from core.nn.layer import Scope

Target: TypeAlias = Literal["class", "classes", "binary", "number", "distribution"]
"""Kinds of targets.

`class`: one integer class per sample, `(*stack, batch)`. The others are shaped like the outputs:
`classes`: concatenated one-hot rows of several classes; `binary`: zeros and ones; `number`: reals;
`distribution`: the probability of each class.
"""

TINY_SHARE = 1e-7
"""Replaces the share of a class that does not occur."""

SMALLEST = 1e-30
"""Added to sums of weights so that a batch whose weights are all 0 gives no division by 0."""


class Loss(Family):
    """Base of losses. Targets are of kind `target`; sample weights are `(*stack, batch)` or None.

    A loss that `averages` is a (weighted) mean over samples; the others are sums.
    """

    target: ClassVar[Target]
    averages: ClassVar[bool] = True

    @abstractmethod
    def forward(
        self, y: Array, target: Array, scope: Scope, sample_weight: Array | None = None
    ) -> tuple[Array, Array]:
        """Return the loss of the batch, shape `stack`, and its gradient dy, shaped like `y`.

        dy is a reused buffer.
        """

    def mass(self, target: Array, scope: Scope, sample_weight: Array | None = None) -> Any:
        """Return the divisor of the batch mean that `forward` computes, shape `stack`.

        Means of batches, weighted by it, average to the mean of all samples.
        """
        if sample_weight is None:
            return float(target.shape[len(scope.stack)])
        return sample_weight.sum(axis=-1)

    def prediction(self, y: Array, scope: Scope) -> Array:
        """Convert raw outputs to predictions: probabilities for classes and binary targets."""
        return y

    def observed(self, target: Array) -> Array:
        """Convert targets for metrics: a distribution becomes its most probable class."""
        return target.argmax(axis=-1) if self.target == "distribution" else target

    @classmethod
    def observes(cls) -> str:
        """Return the kind of the targets that `observed` returns."""
        return "class" if cls.target == "distribution" else cls.target

    def fitted(self, counts: Sequence[float]) -> Self:
        """Return this loss with settings computed that depend on the training data.

        `counts` are the occurrences of each class (of zeros, then ones, for binary targets).
        """
        return self

    @property
    def is_fitted(self) -> bool:
        """Whether `forward` can be called: no setting still depends on the training data."""
        return True

    @property
    def quantile(self) -> float | None:
        """The quantile of number targets that suits it best as a constant; None for the mean."""
        return None

    @property
    def weighs_classes(self) -> bool:
        """Whether some classes count more than others."""
        return False

    def constant(self, target: Array, outputs: int, weight: Array | None = None) -> Array:
        """Return the outputs `(outputs,)` that fit the targets best if they must be all the same.

        NumPy arrays: `target (samples, ...)`, and `weight (samples,)` above 0.
        """
        if self.target == "class":
            shares = np.bincount(target, weight, minlength=outputs) / len(target)
        else:
            flat = target.reshape(len(target), -1).astype(np.float64)
            if self.quantile is not None:
                return np.quantile(flat, self.quantile, axis=0)
            shares = np.average(flat, axis=0, weights=weight)
        if self.target == "number":
            return shares
        logs: Array = np.log(np.maximum(shares, TINY_SHARE))
        return (
            logs - np.log(np.maximum(1 - shares, TINY_SHARE)) if self.target == "binary" else logs
        )

    def check(self, shape: Shape) -> None:
        """Raise ShapeError if outputs of feature shape `shape` do not fit the hyperparameters."""
        return

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, Shape]]:
        """Yield members to test, each with an output shape."""
        return ((cls(**fields), shape) for fields, shape in cls.EXAMPLES)


def occurrences(kind: str, targets: Array, outputs: int) -> list[float]:
    """Count each class in `targets`, a NumPy array, for `Loss.fitted`.

    `kind` is a Target, `outputs` the least number of classes. Empty for numbers and `classes`.
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
    """Return weights divided by their sum over the batch, `(*stack, batch)`."""
    weight = sample_weight.astype(dtype, copy=False)
    return weight / (weight.sum(axis=-1, keepdims=True) + SMALLEST)


def mean_over_samples(each: Array, dy: Array, sample_weight: Array | None) -> Array:
    """Return the (weighted) mean of `each (*stack, batch)` over samples.

    Scales `dy (*stack, batch, outputs)` in place from the gradient of each value to the mean's.
    """
    if sample_weight is None:
        share: float | Array = 1.0 / each.shape[-1]
        dy *= share
    else:
        share = shares(sample_weight, each.dtype)
        dy *= share[..., None]
    return (each * share).sum(axis=-1)


def equals(value: Any, number: float) -> bool:
    """Whether a hyperparameter is `number` for all networks, so that its term can be skipped."""
    return isinstance(value, float | int) and value == number
