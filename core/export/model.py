"""Export of a trained model to one ONNX graph, from raw columns to predictions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

import core.export.layers
import core.export.losses  # noqa: F401  (importing them registers the exporters)
from core.data.table.schema import Label
from core.errors import InvalidError
from core.export.graph import Graph
from core.export.member import Place, export_layer, export_prediction
from core.export.preparation import (
    Prepared,
    export_inverse,
    export_standardizer,
    export_step,
    flat,
)
from core.nn.layer import Layer, Scope
from core.training.model import TrainedModel

MOST_BYTES = 2**29
"""Limit of the weights of a model; the format itself ends at 2 GiB."""
MOST_PROBABILITIES = 100
"""Most labels that have an output each."""


@dataclass(frozen=True)
class Value:
    """An input or output of shape `(rows, *shape)`: its name, and its type as in MLflow."""

    name: str
    kind: str
    shape: tuple[int, ...] = ()


@dataclass
class Exported:
    """The graph of a model with its inputs and outputs."""

    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    model: onnx.ModelProto | None = None

    @property
    def tabular(self) -> bool:
        """Whether all inputs are scalars: then outputs are columns too."""
        return not any(value.shape for value in self.inputs)

    def serialized(self) -> bytes:
        """Return the bytes of the `.onnx` file."""
        assert self.model is not None
        content: bytes = self.model.SerializeToString(deterministic=True)
        return content


def to_onnx(model: TrainedModel, kinds: Mapping[str, str] | None = None) -> Exported:
    """Export a model to ONNX with one input for each raw column and predictions as outputs.

    `kinds` names the columns that are `long` or `boolean`; others are `double`, and text is
    `string`. The network computes in float32. Raises InvalidError if the model is too large, or
    has a layer or a preparation step that cannot be exported.
    """
    if model.network.weights.nbytes > MOST_BYTES:
        raise InvalidError(f"a model of more than {MOST_BYTES:,} bytes cannot be exported to ONNX")
    graph, exported = Graph(), Exported()
    x = _features(graph, model, kinds or {}, exported)
    if model.encoding.standardizer is not None:
        x = export_standardizer(graph, x, model.encoding.standardizer)
    for layer, scope in zip(model.network.network.layers, model.network.scopes, strict=True):
        x = export_layer(graph, x, layer, place_of(layer, scope))
    y = export_prediction(graph, x, model.loss)
    if model.encoding.target_standardizer is not None:
        y = export_inverse(graph, y, model.encoding.target_standardizer)
    _add_predictions(graph, model, y, exported)
    exported.model = graph.build("network")
    return exported


def place_of(layer: Layer, scope: Scope) -> Place:
    """Return a layer's arrays and those of the layers inside it."""
    inner = [child for child, _ in layer.children(scope.shape)]
    children = tuple(
        (child, place_of(child, own)) for child, own in zip(inner, scope.children, strict=True)
    )
    return Place(scope.shape, {**scope.weights, **scope.state}, children)


def _features(
    graph: Graph, model: TrainedModel, kinds: Mapping[str, str], exported: Exported
) -> str:
    """Add the prepared and concatenated columns, in the input shape of the network.

    They are `float`, or `double` if the model standardizes in float64 afterwards.
    """
    standardized = model.encoding.standardizer is not None
    numbers = "double" if standardized and model.spec.precision == "float64" else "float"
    columns, steps = model.encoding.features, model.encoding.pipeline.steps
    for column in columns:
        kind = "string" if column.text else kinds.get(column.name, "double")
        exported.inputs.append(
            Value(graph.input(column.name, kind, column.shape), kind, column.shape)
        )
    if exported.tabular and not steps:
        together = _concatenated(graph, exported.inputs, numbers)
    else:
        parts = []
        for column, given in zip(columns, exported.inputs, strict=True):
            value = given.name if column.text else graph.cast(given.name, "double")
            now = Prepared(value, column.shape, column.text)
            for step in steps:
                if step.column == column.name:
                    now = export_step(graph, now, step)
            parts.append(flat(graph, now, numbers))
        together = graph.add("Concat", *parts, axis=1)
    shape = model.network.shape
    return together if len(shape) == 1 else graph.reshape(together, shape)


def _concatenated(graph: Graph, inputs: Sequence[Value], numbers: str) -> str:
    """Concatenate scalar columns with few nodes: several nodes for each column are slow."""
    names = [value.name for value in inputs]
    if len({value.kind for value in inputs}) == 1:
        flat_values = graph.cast(graph.add("Concat", *names, axis=0), numbers)
    else:
        flat_values = graph.add("Concat", *(graph.cast(name, numbers) for name in names), axis=0)
    columns = graph.add("Reshape", flat_values, graph.sizes(len(inputs), -1))
    return graph.add("Transpose", columns, perm=[1, 0])


def _add_predictions(graph: Graph, model: TrainedModel, y: str, exported: Exported) -> None:
    """Add the outputs that `TrainedModel.answers` and `probabilities` return."""
    encoding, loss = model.encoding, model.loss
    first = encoding.classes[0]
    if loss.target == "class" and first is not None:
        code = graph.add("ArgMax", y, axis=-1, keepdims=0)
        _add_label(graph, "prediction", first, code, exported)
        _add_probabilities(graph, "probability", first, y, exported)
        return
    flat = graph.reshape(y, (math.prod(model.network.output_shape),))
    several, start = len(encoding.targets) > 1, 0
    for target, classes in zip(encoding.targets, encoding.classes, strict=True):
        size = math.prod(target.shape)
        name = target.name if several else "prediction"
        prefix = f"probability_{name}" if several else "probability"
        if classes is not None and loss.target == "classes":
            size = len(classes)
            part = _columns(graph, flat, start, size, (size,))
            code = graph.add("ArgMax", part, axis=-1, keepdims=0)
            _add_label(graph, name, classes, code, exported)
            _add_probabilities(graph, prefix, classes, part, exported)
        elif classes is None and loss.target == "binary":
            part = _columns(graph, flat, start, size, target.shape)
            half = graph.constant(np.array(0.5, np.float32))
            code = graph.cast(graph.add("Greater", part, half), "long")
            _add_output(graph, exported, Value(name, "long", target.shape), code)
            _add_output(graph, exported, Value(prefix, "float", target.shape), part)
        elif classes is None:
            part = _columns(graph, flat, start, size, target.shape)
            _add_output(graph, exported, Value(name, "float", target.shape), part)
        else:
            chance = _column(graph, flat, start)
            half = graph.constant(np.array(0.5, np.float32))
            code = graph.cast(graph.add("Greater", chance, half), "long")
            _add_label(graph, name, classes, code, exported)
            other = graph.add("Sub", graph.constant(np.array(1, np.float32)), chance)
            both = [graph.add("Unsqueeze", value, graph.sizes(1)) for value in (other, chance)]
            if len(classes) == len(both):
                _add_probabilities(
                    graph, prefix, classes, graph.add("Concat", *both, axis=1), exported
                )
        start += size


def _add_output(graph: Graph, exported: Exported, value: Value, name: str) -> None:
    own = graph.output(value.name, name, value.kind, value.shape)
    exported.outputs.append(Value(own, value.kind, value.shape))


def _add_label(
    graph: Graph, name: str, classes: Sequence[Label], code: str, exported: Exported
) -> None:
    """Add an output with the labels of `code`."""
    values: Any = np.array(classes)
    kind = {"b": "boolean", "i": "long", "u": "long", "f": "double"}.get(values.dtype.kind)
    if kind is None:
        kind, values = "string", np.array([str(label) for label in classes], object)
    elif kind == "long":
        values = values.astype(np.int64)
    _add_output(
        graph, exported, Value(name, kind), graph.add("Gather", graph.constant(values), code)
    )


def _add_probabilities(
    graph: Graph, prefix: str, classes: Sequence[Label], probabilities: str, exported: Exported
) -> None:
    """Add a column for each label if all inputs are scalars, else one array."""
    if not exported.tabular:
        name = "probabilities" if prefix == "probability" else prefix
        _add_output(graph, exported, Value(name, "float", (len(classes),)), probabilities)
        return
    if len(classes) > MOST_PROBABILITIES:
        return
    for index, label in enumerate(classes):
        column = _column(graph, probabilities, index)
        _add_output(graph, exported, Value(f"{prefix}_{label}", "float"), column)


def _column(graph: Graph, values: str, index: int) -> str:
    """Return column `index` of `(rows, n)`, with shape `(rows,)`."""
    return graph.add("Gather", values, graph.constant(np.array(index, np.int64)), axis=1)


def _columns(graph: Graph, values: str, start: int, size: int, shape: tuple[int, ...]) -> str:
    if not shape:
        return _column(graph, values, start)
    stop = start + size
    part = graph.add("Slice", values, graph.sizes(start), graph.sizes(stop), graph.sizes(1))
    return graph.reshape(part, shape)
