"""Exporters of normalizations."""

import numpy as np

from core.export.graph import Graph
from core.export.member import Place, exports
from core.nn.layers.batch_norm import BatchNorm
from core.nn.layers.layer_norm import LayerNorm


@exports("batch_norm")
def batch_norm(graph: Graph, x: str, layer: BatchNorm, place: Place) -> str:
    """Normalize with the running mean and variance."""
    arrays = place.arrays
    deviation = np.sqrt(np.asarray(arrays["variance"], np.float64) + float(layer.epsilon))
    y = graph.add("Sub", x, graph.weight(arrays["mean"]))
    y = graph.add("Mul", y, graph.weight(arrays["scale"] / deviation))
    return graph.add("Add", y, graph.weight(arrays["shift"]))


@exports("layer_norm")
def layer_norm(graph: Graph, x: str, layer: LayerNorm, place: Place) -> str:
    """Normalize over the last axis."""
    scale, shift = (graph.weight(place.arrays[name]) for name in ("scale", "shift"))
    return graph.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=float(layer.epsilon))
