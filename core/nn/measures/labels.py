"""Counts of labels: how often each was predicted, was true, and both."""

from typing import Any, ClassVar, Literal, TypeAlias

from core.family import Examples, member
from core.nn.array import Array
from core.nn.metric import Metric

Average: TypeAlias = Literal["macro", "micro", "weighted"]
"""The average over labels: unweighted mean, ratio of total counts, or mean by true frequency."""


@member
class AveragedMetric(Metric):
    """A metric of each label, averaged over labels as `average` says."""

    target: ClassVar[Literal["any"]] = "any"
    better: ClassVar[Literal["higher"]] = "higher"
    average: Average = "macro"

    @property
    def name(self) -> str:
        return str(self.kind if self.average == "macro" else f"{self.kind}_{self.average}")


@member
class LabelMetric(AveragedMetric):
    """A ratio of label counts, averaged over labels.

    The labels are the classes, or the binary outputs; a single binary output has one label.
    """

    EXAMPLES: ClassVar[Examples] = (
        ({}, (4,)),
        ({"average": "micro"}, (3,)),
        ({"average": "weighted"}, (2,)),
    )

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        return label_counts(xp, outputs, target, weight)


def by_class(outputs: Array, target: Array) -> bool:
    """Whether targets are one class per sample, rather than binary outputs."""
    return target.ndim < outputs.ndim


def one_hot(xp: Any, labels: Array, classes: int) -> Array:
    """Return one-hot rows of class numbers, float64 `(..., classes)`."""
    return (labels[..., None] == xp.arange(classes)).astype(xp.float64)


def indicators(xp: Any, outputs: Array, target: Array, weight: Array) -> tuple[Array, Array]:
    """Return predicted and true labels as zeros and ones, float64 `(*stack, batch, labels)`.

    The labels are the classes, or the binary outputs, which are predicted above 1/2.
    """
    if by_class(outputs, target):
        classes = outputs.shape[-1]
        return one_hot(xp, outputs.argmax(axis=-1), classes), one_hot(xp, target, classes)
    predicted = (outputs > 0.5).reshape(*weight.shape, -1)
    true = (target > 0.5).reshape(*weight.shape, -1)
    return predicted.astype(xp.float64), true.astype(xp.float64)


def label_counts(xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
    """Return weighted counts of each label, float64 `(*stack, labels)`.

    `both` counts predicted and true labels, `predicted` and `actual` each of them, and `every`,
    `(*stack, 1)`, all samples.
    """
    predicted, true = indicators(xp, outputs, target, weight)
    mass = weight.astype(xp.float64)[..., None]
    weighted = true * mass
    return {
        "both": (predicted * weighted).sum(axis=-2),
        "predicted": (predicted * mass).sum(axis=-2),
        "actual": weighted.sum(axis=-2),
        "every": mass.sum(axis=-2),
    }


def ratio(xp: Any, part: Array, whole: Array) -> Array:
    """Return `part / whole`, and 0 where `whole` is 0."""
    positive = whole > 0
    return xp.where(positive, part / xp.where(positive, whole, 1.0), 0.0)


def averaged(
    xp: Any, part: Array, whole: Array, total: dict[str, Array], average: Average
) -> Array:
    """Average the ratio `part / whole` over labels, to shape `stack`.

    `macro` is the mean over all labels that occur in targets or in predictions.
    """
    if average == "micro":
        return ratio(xp, part.sum(axis=-1), whole.sum(axis=-1))
    if average == "weighted":
        share = total["actual"]
    else:
        share = (total["actual"] + total["predicted"] > 0).astype(xp.float64)
    each = ratio(xp, part, whole)
    return ratio(xp, (each * share).sum(axis=-1), share.sum(axis=-1))
