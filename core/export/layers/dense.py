"""Exporters of dense and embedding layers."""

from core.export.graph import Graph
from core.export.member import Place, exports
from core.nn.layers.dense import Dense
from core.nn.layers.embedding import Embedding


@exports("dense")
def dense(graph: Graph, x: str, layer: Dense, place: Place) -> str:
    """Multiply over the last axis and add the bias."""
    y = graph.add("MatMul", x, graph.weight(place.arrays["weight"]))
    return graph.add("Add", y, graph.weight(place.arrays["bias"])) if layer.bias else y


@exports("embedding")
def embedding(graph: Graph, x: str, layer: Embedding, place: Place) -> str:
    """Gather rows of the table; the runtime raises an error for an id out of range."""
    ids = graph.cast(graph.add("Round", x), "long")
    return graph.add("Gather", graph.weight(place.arrays["weight"]), ids, axis=0)
