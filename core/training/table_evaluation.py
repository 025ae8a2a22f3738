"""How good a trained model is on a table of raw rows, overall and slice by slice."""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pyarrow as pa

from core.data.table import columns
from core.data.table.schema import Label
from core.errors import InvalidError
from core.events import EvaluationEnded, Event, RowsPassed
from core.family import members
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import SMALLEST
from core.nn.metric import Metric, Tally
from core.nn.metrics.confusion_matrix import ConfusionMatrix
from core.training.dataset import targets
from core.training.model import TrainedModel
from core.training.table_pass import Stretch, located, stretches

MOST_SLICES = 50
"""Values of one column that are told apart."""
MOST_CLASSES = 50
"""Classes up to which answers are counted by class."""
LOSS = "loss"
USUAL = {"class": ("accuracy",), "binary": ("accuracy",), "number": ("mse", "mae", "r2")}
"""Metrics by kind of target, measured beside those the job asked for."""


def higher_is_better(metric: str) -> bool:
    """Which way is good for a metric as evaluations name it; lower where nobody knows."""
    known: dict[str, Any] = members(cast("Any", Metric))
    return metric in known and known[metric].better == "higher"


def measure(model: TrainedModel, table: pa.Table, slices: tuple[str, ...] = ()) -> Iterator[Event]:
    """Measure `model` on all rows of `table`, a stretch at a time; last an EvaluationEnded.

    The loss is left out for a model of before losses were kept whose weights are `balanced`: the
    weights are not known. Raises InvalidError naming a column that is missing or does not fit.
    """
    labels = _labels(model)
    whole, parts = _Sums(model), {name: _Slices(model, name) for name in slices}
    confusion = Tally(ConfusionMatrix(), np, ()) if labels is not None else None
    step = 0
    for step, stretch in enumerate(stretches(model, table), 1):
        with located(stretch.first):
            y = targets.read(model.spec, stretch.table, model.encoding.classes).y
            for part in parts.values():
                part.add(stretch, y)
        whole.add(stretch.raw, stretch.outputs, y)
        if confusion is not None:
            truth = model.loss.observed(y)
            confusion.add(stretch.outputs, truth, np.ones(len(stretch), model.network.dtype))
        yield RowsPassed(step, 0, rows=whole.rows, rows_total=table.num_rows)
    yield EvaluationEnded(
        step,
        0,
        rows=whole.rows,
        metrics=whole.metrics(),
        slices=[found for part in parts.values() for found in part.found()],
        confusion=None
        if confusion is None
        else {"labels": labels, "counts": confusion.result().astype(int).tolist()},
    )


class _Sums:
    """Loss and metrics over the rows added so far."""

    def __init__(self, model: TrainedModel) -> None:
        self.rows = 0
        self._model = model
        self._loss = self._mass = 0.0
        self._tallies = [Tally(metric, np, ()) for metric in _metrics(model)]

    def add(self, raw: Array, outputs: Array, y: Array) -> None:
        loss, network = self._model.loss, self._model.network
        scope = Scope(np, network.dtype, (), network.output_shape)
        y = y.reshape(raw.shape) if loss.target in {"number", "distribution", "binary"} else y
        if loss.is_fitted:
            value, _ = loss.forward(raw.copy(), y, scope)
            mass = float(loss.mass(y, scope))
            self._loss += float(value) * (mass if loss.averages else 1)
            self._mass += mass
        self.rows += len(raw)
        truth, weight = loss.observed(y), np.ones(len(raw), network.dtype)
        for tally in self._tallies:
            tally.add(outputs, truth, weight)

    def metrics(self) -> dict[str, float]:
        found = {}
        if self._model.loss.is_fitted:
            found[LOSS] = self._loss / max(self._mass, SMALLEST)
        for tally in self._tallies:
            found.update({name: float(one) for name, one in tally.numbers().items()})
        return found


class _Slices:
    """The same for the rows of each value of one column."""

    def __init__(self, model: TrainedModel, column: str) -> None:
        self._model = model
        self._column = column
        self._sums: dict[Label, _Sums] = {}

    def add(self, stretch: Stretch, y: Array) -> None:
        values = columns.labels(stretch.table, self._column)
        distinct, codes = np.unique(values, return_inverse=True)
        for code, value in enumerate(distinct.tolist()):
            rows = np.flatnonzero(codes == code)
            sums = self._sums.setdefault(value, _Sums(self._model))
            if len(self._sums) > MOST_SLICES:
                raise InvalidError(
                    f"column {self._column!r} has more than {MOST_SLICES} values: slice by one "
                    "that has fewer"
                )
            sums.add(stretch.raw[rows], stretch.outputs[rows], y[rows])

    def found(self) -> Iterator[dict[str, Any]]:
        # Values of one column are of one type.
        for value, sums in sorted(self._sums.items(), key=lambda item: cast("Any", item[0])):
            yield {
                "column": self._column,
                "value": value,
                "rows": sums.rows,
                "metrics": sums.metrics(),
            }


def _metrics(model: TrainedModel) -> list[Metric]:
    asked = list(model.spec.metrics)
    kinds = {metric.kind for metric in asked}
    known: dict[str, Any] = members(cast("Any", Metric))
    usual = USUAL.get(model.loss.observes(), ())
    return [*asked, *(known[kind]() for kind in usual if kind not in kinds)]


def _labels(model: TrainedModel) -> list[Label] | None:
    """What the rows and columns of a confusion stand for; None when rows have no one class."""
    shape = model.network.output_shape
    observes = model.loss.observes()
    if observes == "class" and len(shape) == 1:
        size = int(shape[0])
    elif observes == "binary" and int(np.prod(shape)) == 1:
        size = 2
    else:
        return None
    if size > MOST_CLASSES:
        return None
    classes = model.encoding.classes[0] if len(model.encoding.classes) == 1 else None
    return list(classes) if classes is not None and len(classes) == size else list(range(size))
