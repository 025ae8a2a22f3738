"""Areas under the curves that a moving threshold draws, exact with ties and weights."""

from collections.abc import Callable
from typing import Any, TypeAlias

from core.nn.array import Array
from core.nn.labels import one_hot, ratio

Area: TypeAlias = Callable[[Any, Array, Array], Array]
"""One number of the weights of true and false positives at each threshold, highest first."""


def measured(xp: Any, outputs: Array, target: Array, weight: Array) -> dict[str, Array]:
    """All that areas need, for one label or one for each class or output.

    Two classes are one label: the second class.
    """
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


def average_area(xp: Any, total: dict[str, Array], area: Area, weighted: bool) -> Array:
    """The area of each label, averaged over the labels that occur: plainly, or by how often."""
    scores, true, weight = total["all_scores"], total["all_true"], total["all_weight"]
    stack, batch, labels = scores.shape[:-2], scores.shape[-2], scores.shape[-1]
    scores, true = scores.reshape(-1, batch, labels), true.reshape(-1, batch, labels)
    weight = weight.reshape(-1, batch)
    areas = [
        [
            area(xp, *_thresholds(xp, scores[row, :, label], true[row, :, label], weight[row]))
            for label in range(labels)
        ]
        for row in range(scores.shape[0])
    ]
    each = xp.stack([xp.stack(row) for row in areas])
    actual = (true * weight[..., None]).sum(axis=-2)
    rest = weight.sum(axis=-1, keepdims=True) - actual
    occurs = ((actual > 0) & (rest > 0)).astype(xp.float64)
    share = occurs * actual if weighted else occurs
    return ratio(xp, (each * share).sum(axis=-1), share.sum(axis=-1)).reshape(stack)


def _thresholds(xp: Any, scores: Array, true: Array, weight: Array) -> tuple[Array, Array]:
    """Weights of the true and the false above each distinct score, from the highest down."""
    order = xp.argsort(-scores)
    scores, mass = scores[order], weight[order]
    hits = true[order] * mass
    last = xp.concatenate([scores[1:] != scores[:-1], xp.ones(1, bool)])
    return xp.cumsum(hits)[last], xp.cumsum(mass - hits)[last]


def roc_area(xp: Any, hits: Array, misses: Array) -> Array:
    """The area under hits over misses, by trapezoids."""
    start = xp.zeros(1, hits.dtype)
    high = xp.concatenate([start, hits])
    width = misses - xp.concatenate([start, misses[:-1]])
    area = (width * (high[1:] + high[:-1])).sum() / 2
    return ratio(xp, area, hits[-1] * misses[-1])


def average_precision(xp: Any, hits: Array, misses: Array) -> Array:
    """The sum of precisions, each by the recall it adds: the area under the steps."""
    added = hits - xp.concatenate([xp.zeros(1, hits.dtype), hits[:-1]])
    return ratio(xp, (added * ratio(xp, hits, hits + misses)).sum(), hits[-1])
