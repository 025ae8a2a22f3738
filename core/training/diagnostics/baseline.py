"""Compare trained networks with the trivial baseline: the same answer for every row.

The answer is the majority class of the training rows, or the number that the loss prefers: their
mean, median or quantile.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.nn.array import Array, Shape
from core.nn.loss import Loss
from core.nn.metric import Metric
from core.nn.metrics.accuracy import Accuracy
from core.nn.metrics.balanced_accuracy import BalancedAccuracy
from core.training.dataset_types import Part
from core.training.evaluation import by_network, evaluate
from core.training.trainer import Trainer

LEAST_ROWS = 10
"""Fewer held-out rows say too little."""
MOST_NUMBERS = 2**24
"""The most target numbers of training rows from which the baseline is computed."""

Comparison = dict[str, Any]


def compare(trainer: Trainer, reports: Sequence[Mapping[str, float]]) -> list[Comparison]:
    """Compare networks with their current weights with the baseline, on the test rows.

    Without test rows it is on the validation rows. `reports` has the metrics of each network on
    them. A comparison is a JSON document: `metric` (such as `test/accuracy`), the `value` of the
    network, the `baseline_value`, what the baseline predicts, whether the network is `better`, and
    the number of `rows`. It is empty with too few rows.
    """
    name, part = ("test", trainer.test) if trainer.test is not None else ("valid", trainer.valid)
    if part is None or len(part) < LEAST_ROWS:
        return [{} for _ in reports]
    metric = _metric(trainer.spec.loss, trainer.network.output_shape)
    short = "loss" if metric is None else metric.name
    full = f"{name}/{short}"
    known = [report[full] for report in reports if full in report]
    if metric is not None and not known:
        known = by_network(_evaluate(trainer, trainer.network, metric, part)[short])
    outputs = int(np.prod(trainer.network.output_shape))
    targets = _without_x(part, outputs)
    baselines = by_network(_evaluate(trainer, _Constant(trainer), metric, targets)[short])
    return [
        {
            "metric": full,
            "rows": len(part),
            "value": value,
            "baseline_value": baseline,
            "prediction": _prediction(spec.loss, metric),
            "better": _better(value, baseline, higher=metric is not None),
        }
        for spec, value, baseline in zip(trainer.specs, known, baselines, strict=True)
    ]


def _metric(loss: Loss, outputs: Shape) -> Metric | None:
    """The metric by which classes are compared; None for numbers, which the loss compares."""
    if loss.target in {"number", "classes"}:
        return None
    several = loss.target == "binary" and int(np.prod(outputs)) > 1
    return BalancedAccuracy() if several or loss.weighs_classes else Accuracy()


def _prediction(loss: Loss, metric: Metric | None) -> str:
    """What the baseline predicts."""
    if metric is not None:
        return "majority class"
    if loss.target == "classes":
        return "share of each class"
    level = loss.quantile
    return "mean" if level is None else "median" if level == 0.5 else f"quantile {level:g}"


def _better(value: float, baseline: float, *, higher: bool) -> bool:
    """Whether a value beats that of the baseline; NaN beats nothing, and nothing beats 1."""
    return (value > baseline or value == 1) if higher else value < baseline


def _evaluate(trainer: Trainer, network: Any, metric: Metric | None, part: Part) -> dict[str, Any]:
    metrics = () if metric is None else (metric,)
    return evaluate(network, trainer.loss, metrics, part, trainer.scope)


class _Constant:
    """A network, or a stack of networks, that answers the same for every row."""

    def __init__(self, trainer: Trainer) -> None:
        train, shape = trainer.dataset.train, trainer.network.output_shape
        self.xp, self.stack = trainer.xp, trainer.stack
        self.dtype = trainer.network.dtype
        step = -(-train.y.size // MOST_NUMBERS)
        y, weight = train.y[::step], None if train.weight is None else train.weight[::step]
        if weight is not None:
            y, weight = y[weight > 0], weight[weight > 0]
        # The losses of a stack seldom differ.
        losses = {spec.loss for spec in trainer.specs}
        best = {loss: loss.constant(y, int(np.prod(shape)), weight) for loss in losses}
        outputs = [best[spec.loss] for spec in trainer.specs]
        stacked = np.asarray(outputs, self.dtype).reshape(*self.stack, 1, *shape)
        self._outputs = self.xp.asarray(stacked)

    def forward(self, x: Array) -> tuple[Array, None]:
        """The outputs for rows `x (*stack, rows, ...)`, in new memory."""
        rows = x.shape[len(self.stack)]
        return self.xp.repeat(self._outputs, rows, axis=len(self.stack)), None


def _without_x(part: Part, outputs: int) -> Part:
    """The targets and weights of a part, with zeros as features, which take no memory.

    There is one for each output, so that blocks of rows are so small that their outputs fit.
    """
    x = np.broadcast_to(np.float32(0), (len(part), outputs))
    return Part(x, part.y, part.weight, standardizer=part.standardizer)
