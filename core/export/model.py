"""A trained model as one ONNX graph: from raw columns to labels, numbers and probabilities."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

import core.export.layers
import core.export.losses  # noqa: F401  (they register themselves)
from core.data.table.schema import Label
from core.errors import InvalidError
from core.export.graph import Graph
from core.export.member import Place, export_layer, export_prediction
from core.export.preparation import Prepared, export_standardizer, export_step, flat
from core.nn.layer import Layer, Scope
from core.training.model import TrainedModel

MOST_BYTES = 2**29
"""Weights that a single ONNX file is made of; the format ends at 2 GiB."""
MOST_PROBABILITIES = 100
"""Labels up to which each has an output of its own."""


@dataclass(frozen=True)
class Value:
    """An input or output `(rows, *shape)`: its name and MLflow's word for its type."""

    name: str
    kind: str
    shape: tuple[int, ...] = ()


@dataclass
class Exported:
    """The graph of a model, what goes in and what comes out."""

    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    model: onnx.ModelProto | None = None

    @property
    def tabular(self) -> bool:
        """Whether a row is single values: outputs are then columns too."""
        return not any(value.shape for value in self.inputs)

    def serialized(self) -> bytes:
        """The bytes of the `.onnx` file."""
        assert self.model is not None
        content: bytes = self.model.SerializeToString(deterministic=True)
        return content


def to_onnx(model: TrainedModel, kinds: Mapping[str, str] | None = None) -> Exported:
    """The model as ONNX: one input for each raw column, answers as outputs.

    `kinds` says of columns which are `long` or `boolean`; others are `double`, and text `string`.
    The network computes in float32. Raises InvalidError when the model is too large or has a layer
    or a step of preparation that has no form in ONNX.
    """
    if model.network.weights.nbytes > MOST_BYTES:
        raise InvalidError(f"a model of more than {MOST_BYTES:,} bytes is not made into ONNX")
    graph, found = Graph(), Exported()
    x = _features(graph, model, kinds or {}, found)
    if model.encoding.standardizer is not None:
        x = export_standardizer(graph, x, model.encoding.standardizer)
    for layer, scope in zip(model.network.network.layers, model.network.scopes, strict=True):
        x = export_layer(graph, x, layer, place_of(layer, scope))
    _answers(graph, model, export_prediction(graph, x, model.loss), found)
    found.model = graph.build("network")
    return found


def place_of(layer: Layer, scope: Scope) -> Place:
    """A layer's own arrays, and those of the layers inside it."""
    inner = [child for child, _ in layer.children(scope.shape)]
    children = tuple(
        (child, place_of(child, own)) for child, own in zip(inner, scope.children, strict=True)
    )
    return Place(scope.shape, {**scope.weights, **scope.state}, children)


def _features(graph: Graph, model: TrainedModel, kinds: Mapping[str, str], found: Exported) -> str:
    """All columns prepared and side by side, in the shape the network is fed.

    They are float32, or `double` if they are still to be standardized as the model does in float64.
    """
    standardized = model.encoding.standardizer is not None
    numbers = "double" if standardized and model.spec.precision == "float64" else "float"
    columns, steps = model.encoding.features, model.encoding.pipeline.steps
    for column in columns:
        kind = "string" if column.text else kinds.get(column.name, "double")
        found.inputs.append(Value(graph.input(column.name, kind, column.shape), kind, column.shape))
    if found.tabular and not steps:
        together = _lines(graph, found.inputs, numbers)
    else:
        parts = []
        for column, given in zip(columns, found.inputs, strict=True):
            value = given.name if column.text else graph.cast(given.name, "double")
            now = Prepared(value, column.shape, column.text)
            for step in steps:
                if step.column == column.name:
                    now = export_step(graph, now, step)
            parts.append(flat(graph, now, numbers))
        together = graph.add("Concat", *parts, axis=1)
    shape = model.network.shape
    return together if len(shape) == 1 else graph.reshape(together, shape)


def _lines(graph: Graph, inputs: Sequence[Value], numbers: str) -> str:
    """Single values end to end and turned: several nodes for each column are slow for many."""
    if len({one.kind for one in inputs}) == 1:
        wide = graph.cast(graph.add("Concat", *(one.name for one in inputs), axis=0), numbers)
    else:
        wide = graph.add("Concat", *(graph.cast(one.name, numbers) for one in inputs), axis=0)
    lines = graph.add("Reshape", wide, graph.sizes(len(inputs), -1))
    return graph.add("Transpose", lines, perm=[1, 0])


def _answers(graph: Graph, model: TrainedModel, y: str, found: Exported) -> None:
    """What `TrainedModel.answers` and `probabilities` say, as outputs."""
    encoding, loss = model.encoding, model.loss
    first = encoding.classes[0]
    if loss.target == "class" and first is not None:
        code = graph.add("ArgMax", y, axis=-1, keepdims=0)
        _label(graph, "prediction", first, code, found)
        _probabilities(graph, "probability", first, y, found)
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
            _label(graph, name, classes, code, found)
            _probabilities(graph, prefix, classes, part, found)
        elif classes is None and loss.target == "binary":
            part = _columns(graph, flat, start, size, target.shape)
            half = graph.constant(np.array(0.5, np.float32))
            code = graph.cast(graph.add("Greater", part, half), "long")
            _give(graph, found, Value(name, "long", target.shape), code)
            _give(graph, found, Value(prefix, "float", target.shape), part)
        elif classes is None:
            part = _columns(graph, flat, start, size, target.shape)
            _give(graph, found, Value(name, "float", target.shape), part)
        else:
            chance = _column(graph, flat, start)
            half = graph.constant(np.array(0.5, np.float32))
            code = graph.cast(graph.add("Greater", chance, half), "long")
            _label(graph, name, classes, code, found)
            other = graph.add("Sub", graph.constant(np.array(1, np.float32)), chance)
            both = [graph.add("Unsqueeze", one, graph.sizes(1)) for one in (other, chance)]
            if len(classes) == len(both):
                _probabilities(graph, prefix, classes, graph.add("Concat", *both, axis=1), found)
        start += size


def _give(graph: Graph, found: Exported, value: Value, name: str) -> None:
    own = graph.output(value.name, name, value.kind, value.shape)
    found.outputs.append(Value(own, value.kind, value.shape))


def _label(graph: Graph, name: str, classes: Sequence[Label], code: str, found: Exported) -> None:
    """Labels as they are in the data, by their codes."""
    values: Any = np.array(classes)
    kind = {"b": "boolean", "i": "long", "u": "long", "f": "double"}.get(values.dtype.kind)
    if kind is None:
        kind, values = "string", np.array([str(label) for label in classes], object)
    elif kind == "long":
        values = values.astype(np.int64)
    _give(graph, found, Value(name, kind), graph.add("Gather", graph.constant(values), code))


def _probabilities(
    graph: Graph, prefix: str, classes: Sequence[Label], shares: str, found: Exported
) -> None:
    """A column for each label where a row is single values, else one array."""
    if not found.tabular:
        name = "probabilities" if prefix == "probability" else prefix
        _give(graph, found, Value(name, "float", (len(classes),)), shares)
        return
    if len(classes) > MOST_PROBABILITIES:
        return
    for index, label in enumerate(classes):
        column = _column(graph, shares, index)
        _give(graph, found, Value(f"{prefix}_{label}", "float"), column)


def _column(graph: Graph, values: str, index: int) -> str:
    """One column of `(rows, n)`, as `(rows,)`."""
    return graph.add("Gather", values, graph.constant(np.array(index, np.int64)), axis=1)


def _columns(graph: Graph, values: str, start: int, size: int, shape: tuple[int, ...]) -> str:
    if not shape:
        return _column(graph, values, start)
    stop = start + size
    part = graph.add("Slice", values, graph.sizes(start), graph.sizes(stop), graph.sizes(1))
    return graph.reshape(part, shape)
