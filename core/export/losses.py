"""Predictions from raw outputs, as `Loss.prediction` computes them."""

from core.export.graph import Graph
from core.export.member import predicts
from core.nn.loss import Loss
from core.nn.losses.grouped_cross_entropy import GroupedCrossEntropy


@predicts("categorical_cross_entropy", "cross_entropy", "focal", "kl_divergence")
def class_probabilities(graph: Graph, y: str, loss: Loss) -> str:
    """Probabilities of classes: softmax."""
    return graph.add("Softmax", y, axis=-1)


@predicts("grouped_cross_entropy")
def grouped_class_probabilities(graph: Graph, y: str, loss: GroupedCrossEntropy) -> str:
    """Probabilities of the classes of each target, concatenated."""
    parts = [
        graph.add("Slice", y, graph.sizes(span.start), graph.sizes(span.stop), graph.sizes(1))
        for span in loss.spans()
    ]
    return graph.add("Concat", *(graph.add("Softmax", part, axis=-1) for part in parts), axis=1)


@predicts("binary_cross_entropy", "binary_focal", "hinge")
def probabilities(graph: Graph, y: str, loss: Loss) -> str:
    """Probability of each output: sigmoid."""
    return graph.add("Sigmoid", y)


@predicts("poisson")
def counts(graph: Graph, y: str, loss: Loss) -> str:
    """Expected counts from their logarithms."""
    return graph.add("Exp", y)


@predicts(
    "half_squared_error",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_squared_error",
    "quantile",
    "sum_of_squares",
)
def numbers(graph: Graph, y: str, loss: Loss) -> str:
    """Numbers, unchanged."""
    return y
