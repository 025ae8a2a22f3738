"""Export of preparation steps, computed in float64 as in training.

A graph cannot refuse a row. Where the api returns an error (an unknown category under `error`, an
empty cell, a logarithm of a negative number), the graph continues with zeros, the code after the
last one, or NaN. An empty string counts as an empty cell.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from core.data.prepare.pipeline import Standardizer, Step
from core.data.prepare.preparation import Learned
from core.errors import InvalidError
from core.export.graph import ML_DOMAIN, Graph


@dataclass(frozen=True)
class Prepared:
    """A column between steps: a value of shape `(rows, *shape)`, text or `double`."""

    name: str
    shape: tuple[int, ...]
    text: bool = False


StepExporter: TypeAlias = Callable[[Graph, Prepared, Any, Learned], Prepared]

STEPS: dict[str, StepExporter] = {}
"""Exporters by kind of preparation."""


def prepares(kind: str) -> Callable[[StepExporter], StepExporter]:
    """Register a function as the exporter of a kind of step."""

    def register(exporter: StepExporter) -> StepExporter:
        STEPS[kind] = exporter
        return exporter

    return register


def export_step(graph: Graph, x: Prepared, step: Step) -> Prepared:
    """Add a step to a column. Raises InvalidError for a kind without an exporter."""
    kind = step.preparation.kind
    if kind not in STEPS:
        raise InvalidError(f"column {step.column!r}: the step {kind} cannot be exported to ONNX")
    return STEPS[kind](graph, x, step.preparation, step.learned)


def export_standardizer(graph: Graph, x: str, learned: Standardizer) -> str:
    """Add the standardization of concatenated columns."""
    x = graph.cast(x, "double")
    x = graph.add("Sub", x, graph.constant(learned.mean))
    x = graph.add("Div", x, graph.constant(learned.scale))
    return graph.cast(x, "float")


def export_inverse(graph: Graph, y: str, learned: Standardizer) -> str:
    """Add the conversion of standardized predictions to the units of the data."""
    y = graph.add("Mul", graph.cast(y, "double"), graph.constant(learned.scale))
    return graph.cast(graph.add("Add", y, graph.constant(learned.mean)), "float")


def flat(graph: Graph, x: Prepared, kind: str) -> str:
    """Return a column with shape `(rows, numbers)`, converted to the type `kind`."""
    value = graph.cast(x.name, kind)
    if not x.shape:
        return graph.add("Unsqueeze", value, graph.sizes(1))
    return graph.reshape(value, (math.prod(x.shape),))


@prepares("standardize")
def _standardize(graph: Graph, x: Prepared, step: Any, learned: Learned) -> Prepared:
    moved = graph.add("Sub", x.name, _double(graph, learned.arrays["mean"]))
    return Prepared(graph.add("Div", moved, _double(graph, learned.arrays["scale"])), x.shape)


@prepares("min_max")
def _min_max(graph: Graph, x: Prepared, step: Any, learned: Learned) -> Prepared:
    moved = graph.add("Sub", x.name, _double(graph, learned.arrays["minimum"]))
    scaled = graph.add("Mul", moved, _double(graph, learned.arrays["factor"]))
    return Prepared(graph.add("Add", scaled, _double(graph, step.low)), x.shape)


@prepares("clip")
def _clip(graph: Graph, x: Prepared, step: Any, learned: Learned) -> Prepared:
    low, high = (_double(graph, learned.arrays[end]) for end in ("low", "high"))
    return Prepared(graph.add("Clip", x.name, low, high), x.shape)


@prepares("log")
def _log(graph: Graph, x: Prepared, step: Any, learned: Learned) -> Prepared:
    shifted = graph.add("Add", x.name, _double(graph, step.offset))
    return Prepared(graph.add("Log", shifted), x.shape)


@prepares("rescale")
def _rescale(graph: Graph, x: Prepared, step: Any, learned: Learned) -> Prepared:
    return Prepared(graph.add("Div", x.name, _double(graph, step.divisor)), x.shape)


@prepares("impute")
def _impute(graph: Graph, x: Prepared, step: Any, learned: Learned) -> Prepared:
    if x.text:
        empty = graph.add("Equal", x.name, graph.constant(np.array("", object)))
        filling = graph.constant(np.array(learned.words[0], object))
    else:
        # Not every runtime has IsNaN for float64. NaN differs from itself.
        empty = graph.add("Not", graph.add("Equal", x.name, x.name))
        filling = _double(graph, learned.arrays["value"])
    filled = Prepared(graph.add("Where", empty, filling, x.name), x.shape, x.text)
    if not step.indicator:
        return filled
    numbers = [flat(graph, part, "double") for part in (filled, Prepared(empty, ()))]
    return Prepared(graph.add("Concat", *numbers, axis=1), (2,))


@prepares("one_hot")
def _one_hot(graph: Graph, x: Prepared, step: Any, learned: Learned) -> Prepared:
    if x.text:
        codes, count = _codes(graph, x, learned), len(learned.words)
        places = graph.constant(np.arange(count, dtype=np.int64))
    else:
        codes, places = x.name, _double(graph, learned.arrays["categories"])
        count = len(learned.arrays["categories"])
    column = graph.add("Unsqueeze", codes, graph.sizes(1))
    return Prepared(graph.cast(graph.add("Equal", column, places), "double"), (count,))


@prepares("ordinal")
def _ordinal(graph: Graph, x: Prepared, step: Any, learned: Learned) -> Prepared:
    if x.text:
        return Prepared(graph.cast(_codes(graph, x, learned), "double"), ())
    known = learned.arrays["categories"]
    column = graph.add("Unsqueeze", x.name, graph.sizes(1))
    equal = graph.cast(graph.add("Equal", column, _double(graph, known)), "float")
    code = graph.add("ArgMax", equal, axis=1, keepdims=0)
    seen = graph.cast(graph.add("ReduceMax", equal, graph.sizes(1), keepdims=0), "boolean")
    beyond = graph.constant(np.array(len(known), np.int64))
    return Prepared(graph.cast(graph.add("Where", seen, code, beyond), "double"), ())


def _codes(graph: Graph, x: Prepared, learned: Learned) -> str:
    """Return the index of each text in the learned words; their number for an unknown text."""
    return graph.add(
        "LabelEncoder",
        x.name,
        domain=ML_DOMAIN,
        keys_strings=list(learned.words),
        values_int64s=list(range(len(learned.words))),
        default_int64=len(learned.words),
    )


def _double(graph: Graph, value: Any) -> str:
    return graph.constant(np.asarray(value, np.float64))
