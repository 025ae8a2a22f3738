"""What raw outputs mean: the same as `Loss.prediction`, loss by loss."""

from core.export.graph import Graph
from core.export.member import predicts
from core.nn.loss import Loss
from core.nn.losses.grouped_cross_entropy import GroupedCrossEntropy


@predicts("categorical_cross_entropy", "cross_entropy", "focal", "kl_divergence")
def shares_of_classes(graph: Graph, y: str, loss: Loss) -> str:
    """Probabilities that sum to 1."""
    return graph.add("Softmax", y, axis=-1)


@predicts("grouped_cross_entropy")
def shares_of_each_target(graph: Graph, y: str, loss: GroupedCrossEntropy) -> str:
    """Probabilities that sum to 1 for each target, side by side."""
    parts = [
        graph.add("Slice", y, graph.sizes(span.start), graph.sizes(span.stop), graph.sizes(1))
        for span in loss.spans()
    ]
    return graph.add("Concat", *(graph.add("Softmax", part, axis=-1) for part in parts), axis=1)


@predicts("binary_cross_entropy", "binary_focal", "hinge")
def chances(graph: Graph, y: str, loss: Loss) -> str:
    """A probability for each output."""
    return graph.add("Sigmoid", y)


@predicts("poisson")
def counts(graph: Graph, y: str, loss: Loss) -> str:
    """Outputs are logarithms of expected counts."""
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
    """Outputs as they are."""
    return y
