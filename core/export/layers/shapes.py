"""Exporters of layers that change shapes or contain layers."""

import math

from core.export.graph import Graph
from core.export.member import Place, export_layer, exports
from core.nn.layers.reshape import Reshape


@exports("flatten")
def flatten(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Flatten all features of a row."""
    # Reshape needs an axis to copy; a scalar has only the axis of rows.
    if not place.shape:
        return graph.add("Unsqueeze", x, graph.sizes(1))
    return graph.reshape(x, (math.prod(place.shape),))


@exports("reshape")
def reshape(graph: Graph, x: str, layer: Reshape, place: Place) -> str:
    """Reshape the features."""
    return graph.reshape(x, layer.shape)


@exports("residual")
def residual(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Add the input to the output of the inner layers."""
    inner = x
    for child, own in place.children:
        inner = export_layer(graph, inner, child, own)
    return graph.add("Add", x, inner)
