"""How members become nodes: a function for each kind of layer and of loss."""

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
    """A layer where it stands: what it is fed, its arrays by name and the layers inside it."""

    shape: Shape
    arrays: Mapping[str, Array]
    children: tuple["tuple[Layer, Place]", ...] = ()


LayerExporter: TypeAlias = Callable[[Graph, str, Any, Place], str]
"""From the value fed to a layer to the value it gives, both `(rows, ...)` and float32."""
LossExporter: TypeAlias = Callable[[Graph, str, Any], str]
"""From raw outputs, and the loss they were trained with, to predictions."""

LAYERS: dict[str, LayerExporter] = {}
LOSSES: dict[str, LossExporter] = {}


def exports(*kinds: str) -> Callable[[LayerExporter], LayerExporter]:
    """Let a function turn layers of these kinds into nodes."""

    def register(exporter: LayerExporter) -> LayerExporter:
        LAYERS.update(dict.fromkeys(kinds, exporter))
        return exporter

    return register


def predicts(*kinds: str) -> Callable[[LossExporter], LossExporter]:
    """Let a function say what raw outputs mean under losses of these kinds."""

    def register(exporter: LossExporter) -> LossExporter:
        LOSSES.update(dict.fromkeys(kinds, exporter))
        return exporter

    return register


def export_layer(graph: Graph, x: str, layer: Layer, place: Place) -> str:
    """The layer as nodes. Raises InvalidError when nobody said how."""
    if layer.kind not in LAYERS:
        raise InvalidError(f"a layer of kind {layer.kind!r} has no form in ONNX yet")
    return LAYERS[layer.kind](graph, x, layer, place)


def export_prediction(graph: Graph, y: str, loss: Loss) -> str:
    """What raw outputs mean. Raises InvalidError when nobody said how."""
    if loss.kind not in LOSSES:
        raise InvalidError(f"a loss of kind {loss.kind!r} has no form in ONNX yet")
    return LOSSES[loss.kind](graph, y, loss)
