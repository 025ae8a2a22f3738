"""Exporters of activations and of layers that act in training only."""

import numpy as np

from core.export.graph import Graph
from core.export.member import Place, exports
from core.nn.layers.elu import Elu
from core.nn.layers.gelu import Gelu
from core.nn.layers.leaky_relu import LeakyRelu
from core.nn.layers.selu import ALPHA, SCALE, Selu

PLAIN = {
    "mish": "Mish",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "tanh": "Tanh",
}
"""Kinds with a node of the same meaning in ONNX."""


@exports(*PLAIN)
def plain(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Add one node without attributes."""
    return graph.add(PLAIN[layer.kind], x)  # type: ignore[attr-defined]  # every layer has a kind


@exports("dropout", "identity")
def nothing(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Add nothing: the layer does nothing outside training."""
    return x


@exports("softmax")
def softmax(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Normalize over the last axis."""
    return graph.add("Softmax", x, axis=-1)


@exports("log_softmax")
def log_softmax(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Normalize over the last axis."""
    return graph.add("LogSoftmax", x, axis=-1)


@exports("elu")
def elu(graph: Graph, x: str, layer: Elu, place: Place) -> str:
    """Add the node with the alpha of the layer."""
    return graph.add("Elu", x, alpha=float(layer.alpha))


@exports("selu")
def selu(graph: Graph, x: str, layer: Selu, place: Place) -> str:
    """Add the node with explicit constants: ONNX rounds its defaults."""
    return graph.add("Selu", x, alpha=ALPHA, gamma=SCALE)


@exports("leaky_relu")
def leaky_relu(graph: Graph, x: str, layer: LeakyRelu, place: Place) -> str:
    """With its slope."""
    return graph.add("LeakyRelu", x, alpha=float(layer.slope))


@exports("gelu")
def gelu(graph: Graph, x: str, layer: Gelu, place: Place) -> str:
    """In the form with tanh, as ours."""
    return graph.add("Gelu", x, approximate="tanh")


@exports("hard_sigmoid")
def hard_sigmoid(graph: Graph, x: str, layer: object, place: Place) -> str:
    """With the slope of MobileNetV3."""
    return graph.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@exports("silu")
def silu(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Compute `x sigmoid(x)`: the opset has no node for it."""
    return graph.add("Mul", x, graph.add("Sigmoid", x))


@exports("prelu")
def prelu(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Add the node with the slopes of the last axis."""
    return graph.add("PRelu", x, graph.weight(np.asarray(place.arrays["slope"])))
