"""Areas under curves over all thresholds, exact with ties and weights."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array
from core.nn.measures.labels import AveragedMetric, one_hot, ratio


@member
class CurveMetric(AveragedMetric):
    """The area under a curve of each label, averaged over labels.

    The labels are the classes, each against the rest (for two classes, only the second), or the
    binary outputs. Labels that no sample or every sample has are excluded from the mean.
    """

    average: Literal["macro", "weighted"] = "macro"
    EXAMPLES: ClassVar[Examples] = (({}, (4,)), ({"average": "weighted"}, (3,)), ({}, (2,)))

    @abstractmethod
    def area(self, xp: Any, hits: Array, misses: Array) -> Array:
        """Return the area, given the weights of true and of false positives at each threshold.

        The highest threshold comes first.
        """

    def measure(self, xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
        return measured(xp, outputs, target, weight)

    def result(self, xp: Any, total: dict[str, Array]) -> Array:
        scores, true, weight = total["all_scores"], total["all_true"], total["all_weight"]
        stack, batch, labels = scores.shape[:-2], scores.shape[-2], scores.shape[-1]
        scores, true = scores.reshape(-1, batch, labels), true.reshape(-1, batch, labels)
        weight = weight.reshape(-1, batch)
        areas = [
            [
                self.area(xp, *_cumulated(xp, scores[row, :, i], true[row, :, i], weight[row]))
                for i in range(labels)
            ]
            for row in range(scores.shape[0])
        ]
        each = xp.stack([xp.stack(row) for row in areas])
        actual = (true * weight[..., None]).sum(axis=-2)
        # Not the total weight minus `actual`: rounding rarely makes that exactly 0.
        rest = ((1 - true) * weight[..., None]).sum(axis=-2)
        occurs = ((actual > 0) & (rest > 0)).astype(xp.float64)
        share = occurs * actual if self.average == "weighted" else occurs
        return ratio(xp, (each * share).sum(axis=-1), share.sum(axis=-1)).reshape(stack)


def measured(xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
    """Return scores, truth and weights of the labels; two classes are one label, the second."""
    if target.ndim < outputs.ndim:
        classes = outputs.shape[-1]
        scores, true = outputs, one_hot(xp, target, classes)
        if classes == 2:
            scores, true = outputs[..., 1:], true[..., 1:]
    else:
        scores = outputs.reshape(*weight.shape, -1)
        true = (target > 0.5).reshape(*weight.shape, -1)
    return {
        "all_scores": scores,
        "all_true": true.astype(xp.float64),
        "all_weight": weight.astype(xp.float64),
    }


def _cumulated(xp: Any, scores: Array, true: Array, weight: Array) -> tuple[Array, Array]:
    """Weights of true and of false positives at each distinct score, from the highest down."""
    order = xp.argsort(-scores)
    scores, mass = scores[order], weight[order]
    hits = true[order] * mass
    last = xp.concatenate([scores[1:] != scores[:-1], xp.ones(1, bool)])
    return xp.cumsum(hits)[last], xp.cumsum(mass - hits)[last]
