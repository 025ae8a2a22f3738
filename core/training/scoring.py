"""How good a trained model is on a table of raw rows, overall and slice by slice."""

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa

from core.data import columns
from core.errors import InvalidError
from core.family import members
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.metric import Metric, Tally
from core.training import targets
from core.training.model import TrainedModel

MOST_SLICES = 50
"""Values of one column that are told apart."""
LOSS = "loss"
USUAL = {"class": ("accuracy",), "binary": ("accuracy",), "number": ("mse", "mae", "r2")}
"""Metrics by kind of target, measured beside those the job asked for."""


@dataclass(frozen=True)
class Slice:
    """Rows whose `column` has `value`."""

    column: str
    value: Any
    rows: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Scores:
    """Metrics over all rows, and over those of each slice."""

    rows: int
    metrics: dict[str, float]
    slices: list[Slice] = field(default_factory=list)


def higher_is_better(metric: str) -> bool:
    """Which way is good for a metric as evaluations name it; lower where nobody knows."""
    known: dict[str, Any] = members(cast("Any", Metric))
    return metric in known and known[metric].better == "higher"


def score(model: TrainedModel, table: pa.Table, slices: tuple[str, ...] = ()) -> Scores:
    """Measure `model` on all rows of `table`, whose columns are named as those it learned from.

    Raises InvalidError naming a column that is missing or does not fit.
    """
    if not table.num_rows:
        raise InvalidError("the dataset version has no rows")
    x = model.table_to_array(table)
    y = targets.read(model.spec, table, model.encoding.classes).y
    raw, outputs = model.raw_outputs(x)
    found = _measure(model, raw, outputs, y)
    parts = []
    for name in slices:
        for value, rows in _groups(table, name):
            metrics = _measure(model, raw[rows], outputs[rows], y[rows])
            parts.append(Slice(name, value, len(rows), metrics))
    return Scores(table.num_rows, found, parts)


def _measure(model: TrainedModel, raw: Array, outputs: Array, y: Array) -> dict[str, float]:
    loss = model.spec.loss
    scope = Scope(np, model.network.dtype, (), model.network.output_shape)
    y = y.reshape(raw.shape) if loss.target in {"number", "distribution", "binary"} else y
    value, _ = loss.forward(raw.copy(), y, scope)
    found = {LOSS: float(value) if loss.averages else float(value) / len(raw)}
    truth = loss.observed(y)
    weight = np.ones(len(raw), model.network.dtype)
    for metric in _metrics(model):
        tally = Tally(metric, np, ())
        tally.add(outputs, truth, weight)
        found.update({name: float(one) for name, one in tally.numbers().items()})
    return found


def _metrics(model: TrainedModel) -> list[Metric]:
    asked = list(model.spec.metrics)
    kinds = {metric.kind for metric in asked}
    known: dict[str, Any] = members(cast("Any", Metric))
    usual = USUAL.get(model.spec.loss.observes(), ())
    return [*asked, *(known[kind]() for kind in usual if kind not in kinds)]


def _groups(table: pa.Table, name: str) -> list[tuple[Any, Array]]:
    """The values of a column and the numbers of the rows that have each."""
    values = columns.labels(table, name)
    distinct, codes = np.unique(values, return_inverse=True)
    if len(distinct) > MOST_SLICES:
        raise InvalidError(
            f"column {name!r} has {len(distinct)} values: {MOST_SLICES} slices at most"
        )
    return [(value, np.flatnonzero(codes == code)) for code, value in enumerate(distinct.tolist())]
