"""Metrics that are weighted means: over samples, or over the samples of each output."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.measures.labels import ratio
from core.nn.metric import Metric


@member
class SampleMean(Metric):
    """The weighted mean of one value per sample.

    `sum_name` is the name of the weighted sum in checkpoints.
    """

    sum_name: ClassVar[str]
    EXAMPLES: ClassVar[Examples] = (({}, (4,)),)

    @abstractmethod
    def values(self, xp: Any, outputs: Array, target: Array, samples: Shape) -> Array:
        """The value of each sample, of shape `samples`, which is `(*stack, batch)`."""

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        mass = weight.astype(xp.float64)
        values = self.values(xp, outputs, target, weight.shape)
        return {self.sum_name: (values * mass).sum(axis=-1), "weight": mass.sum(axis=-1)}

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return ratio(xp, total[self.sum_name], total["weight"])


@member
class ErrorMean(Metric):
    """The weighted mean of the errors of each output, averaged over outputs.

    `sum_name` is the name of the weighted sum in checkpoints.
    """

    target: ClassVar[Literal["number"]] = "number"
    better: ClassVar[Literal["lower"]] = "lower"
    sum_name: ClassVar[str]
    EXAMPLES: ClassVar[Examples] = (({}, (1,)), ({}, (2, 3)))

    @abstractmethod
    def errors(self, xp: Any, difference: Array, target: Array) -> Array:
        """The errors, given `difference = outputs - target`; all `(*stack, batch, outputs)`.

        `difference` may be overwritten.
        """

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        difference = (outputs.astype(xp.float64) - target).reshape(*weight.shape, -1)
        errors = self.errors(xp, difference, target.reshape(difference.shape))
        mass = weight.astype(xp.float64)[..., None]
        return {self.sum_name: (errors * mass).sum(axis=-2), "weight": mass.sum(axis=-2)}

    def by_output(self, xp: Any, total: dict[str, Array]) -> Array:
        """The mean error of each output, `(*stack, outputs)`."""
        return ratio(xp, total[self.sum_name], total["weight"])

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        return self.by_output(xp, total).mean(axis=-1)
