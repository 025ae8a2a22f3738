"""Exporters: functions that turn a kind of layer or loss into nodes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from core.errors import InvalidError
from core.export.graph import Graph
from core.nn.array import Array, Shape
from core.nn.layer import Layer
from core.nn.loss import Loss


@dataclass(frozen=True)
class Place:
    """A layer in a network: its input shape, its arrays by name and the layers inside it."""

    shape: Shape
    arrays: Mapping[str, Array]
    children: tuple["tuple[Layer, Place]", ...] = ()


LayerExporter: TypeAlias = Callable[[Graph, str, Any, Place], str]
"""From the input of a layer to its output, both float32 of shape `(rows, ...)`."""
LossExporter: TypeAlias = Callable[[Graph, str, Any], str]
"""From raw outputs and the loss of the training to predictions."""

LAYERS: dict[str, LayerExporter] = {}
LOSSES: dict[str, LossExporter] = {}


def exports(*kinds: str) -> Callable[[LayerExporter], LayerExporter]:
    """Register a function as the exporter of these kinds of layers."""

    def register(exporter: LayerExporter) -> LayerExporter:
        LAYERS.update(dict.fromkeys(kinds, exporter))
        return exporter

    return register


def predicts(*kinds: str) -> Callable[[LossExporter], LossExporter]:
    """Register a function as the exporter of predictions for these kinds of losses."""

    def register(exporter: LossExporter) -> LossExporter:
        LOSSES.update(dict.fromkeys(kinds, exporter))
        return exporter

    return register


def export_layer(graph: Graph, x: str, layer: Layer, place: Place) -> str:
    """Add the nodes of a layer. Raises InvalidError for a kind without an exporter."""
    if layer.kind not in LAYERS:
        raise InvalidError(f"a layer of kind {layer.kind!r} cannot be exported to ONNX yet")
    return LAYERS[layer.kind](graph, x, layer, place)


def export_prediction(graph: Graph, y: str, loss: Loss) -> str:
    """Add the nodes of predictions. Raises InvalidError for a kind without an exporter."""
    if loss.kind not in LOSSES:
        raise InvalidError(f"a loss of kind {loss.kind!r} cannot be exported to ONNX yet")
    return LOSSES[loss.kind](graph, y, loss)
