"""Layers that change shapes, and layers around layers."""

import math

from core.export.graph import Graph
from core.export.member import Place, export_layer, exports
from core.nn.layers.reshape import Reshape


@exports("flatten")
def flatten(graph: Graph, x: str, layer: object, place: Place) -> str:
    """All features side by side."""
    # A single number has no axis to copy the rows from and another to add to.
    if not place.shape:
        return graph.add("Unsqueeze", x, graph.sizes(1))
    return graph.reshape(x, (math.prod(place.shape),))


@exports("reshape")
def reshape(graph: Graph, x: str, layer: Reshape, place: Place) -> str:
    """The same features in other axes."""
    return graph.reshape(x, layer.shape)


@exports("residual")
def residual(graph: Graph, x: str, layer: object, place: Place) -> str:
    """The layers inside, and a way around them."""
    inner = x
    for child, own in place.children:
        inner = export_layer(graph, inner, child, own)
    return graph.add("Add", x, inner)
