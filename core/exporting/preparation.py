"""The preparation of raw rows as nodes, in float64 as when training."""

from core.data.standardizer import Standardizer
from core.exporting.graph import Graph


def export_standardizer(graph: Graph, x: str, learned: Standardizer) -> str:
    """Shift and scale."""
    x = graph.cast(x, "double")
    x = graph.add("Sub", x, graph.constant(learned.mean))
    x = graph.add("Div", x, graph.constant(learned.scale))
    return graph.cast(x, "float")
