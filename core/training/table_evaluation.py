"""Loss and metrics of a trained model on a table of raw rows, overall and by group."""

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
from core.training.dataset import encode_targets
from core.training.model import TrainedModel
from core.training.table_pass import Slice, rows_counted_from, slices_of

MOST_SLICES = 50
"""The most values of one column that are measured separately."""
MOST_CLASSES = 50
"""The most classes for which a confusion matrix is counted."""
LOSS = "loss"
USUAL = {"class": ("accuracy",), "binary": ("accuracy",), "number": ("mse", "mae", "r2")}
"""Metrics by kind of target that are measured in addition to those of the job."""


def higher_is_better(metric: str) -> bool:
    """Whether a higher value of a metric is better; False for an unknown metric."""
    known: dict[str, Any] = members(cast("Any", Metric))
    return metric in known and known[metric].better == "higher"


def measure(model: TrainedModel, table: pa.Table, slices: tuple[str, ...] = ()) -> Iterator[Event]:
    """Measure `model` on all rows of `table`; the last event is EvaluationEnded.

    `slices` names columns whose values are also measured separately. The loss is omitted for a
    model with `balanced` weights that was saved before models kept them. Raises InvalidError naming
    a column that is missing or does not fit.
    """
    labels = _labels(model)
    whole, by_column = _Sums(model), [_ColumnSums(model, name) for name in slices]
    confusion = Tally(ConfusionMatrix(), np, ()) if labels is not None else None
    step = 0
    for step, rows in enumerate(slices_of(model, table), 1):
        with rows_counted_from(rows.first):
            y = encode_targets(model.spec, rows.table, model.encoding.classes).y
            for column in by_column:
                column.add(rows, y)
        whole.add(rows.raw, rows.outputs, y)
        if confusion is not None:
            truth = model.loss.observed(y)
            confusion.add(rows.outputs, truth, np.ones(len(rows), model.network.dtype))
        yield RowsPassed(step, 0, rows=whole.rows, rows_total=table.num_rows)
    yield EvaluationEnded(
        step,
        0,
        rows=whole.rows,
        metrics=whole.metrics(),
        slices=[entry for column in by_column for entry in column.results()],
        confusion=None
        if confusion is None
        else {"labels": labels, "counts": confusion.result().astype(int).tolist()},
    )


class _Sums:
    """Loss and metrics of the rows added so far."""

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
            target = self._model.encoding.on_scale(y, network.dtype)
            value, _ = loss.forward(raw.copy(), target, scope)
            mass = float(loss.mass(target, scope))
            self._loss += float(value) * (mass if loss.averages else 1)
            self._mass += mass
        self.rows += len(raw)
        truth, weight = loss.observed(y), np.ones(len(raw), network.dtype)
        for tally in self._tallies:
            tally.add(outputs, truth, weight)

    def metrics(self) -> dict[str, float]:
        metrics = {}
        if self._model.loss.is_fitted:
            metrics[LOSS] = self._loss / max(self._mass, SMALLEST)
        for tally in self._tallies:
            metrics.update({name: float(value) for name, value in tally.numbers().items()})
        return metrics


class _ColumnSums:
    """Loss and metrics of the rows with each value of one column."""

    def __init__(self, model: TrainedModel, column: str) -> None:
        self._model = model
        self._column = column
        self._sums: dict[Label, _Sums] = {}

    def add(self, added: Slice, y: Array) -> None:
        values = columns.labels(added.table, self._column)
        distinct, codes = np.unique(values, return_inverse=True)
        for code, value in enumerate(distinct.tolist()):
            rows = np.flatnonzero(codes == code)
            sums = self._sums.setdefault(value, _Sums(self._model))
            if len(self._sums) > MOST_SLICES:
                raise InvalidError(
                    f"column {self._column!r} has more than {MOST_SLICES} values: slice by one "
                    "that has fewer"
                )
            sums.add(added.raw[rows], added.outputs[rows], y[rows])

    def results(self) -> Iterator[dict[str, Any]]:
        # Values of one column are of one type.
        for value, sums in sorted(self._sums.items(), key=lambda item: cast("Any", item[0])):
            yield {
                "column": self._column,
                "value": value,
                "rows": sums.rows,
                "metrics": sums.metrics(),
            }


def _metrics(model: TrainedModel) -> list[Metric]:
    requested = list(model.spec.metrics)
    kinds = {metric.kind for metric in requested}
    known: dict[str, Any] = members(cast("Any", Metric))
    usual = USUAL.get(model.loss.observes(), ())
    return [*requested, *(known[kind]() for kind in usual if kind not in kinds)]


def _labels(model: TrainedModel) -> list[Label] | None:
    """The labels of a confusion matrix; None when rows do not have one class each."""
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
