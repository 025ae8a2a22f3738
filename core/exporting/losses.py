"""What raw outputs mean: the same as `Loss.prediction`, loss by loss."""

from core.exporting.graph import Graph
from core.exporting.member import predicts


@predicts("categorical_cross_entropy", "cross_entropy", "focal", "kl_divergence")
def shares_of_classes(graph: Graph, y: str) -> str:
    """Probabilities that sum to 1."""
    return graph.add("Softmax", y, axis=-1)


@predicts("binary_cross_entropy", "binary_focal", "hinge")
def chances(graph: Graph, y: str) -> str:
    """A probability for each output."""
    return graph.add("Sigmoid", y)


@predicts("poisson")
def counts(graph: Graph, y: str) -> str:
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
def numbers(graph: Graph, y: str) -> str:
    """Outputs as they are."""
    return y
