"""ONNX nodes compute what layers and losses compute, on the examples of all members."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

import core.export
import core.nn.losses
import core.nn.network  # noqa: F401  (members register themselves)
from core.errors import InvalidError
from core.export.graph import Graph
from core.export.member import LAYERS, LOSSES, Place, export_layer, export_prediction
from core.export.model import place_of
from core.family import members
from core.nn.array import Array, Shape
from core.nn.layer import Layer, Scope
from core.nn.loss import Loss
from core.nn.network import BoundNetwork, Network

TOLERANCE = 1e-5


def cases(family: Any) -> list[Any]:
    """Return the examples of each member with their input shapes."""
    return [
        pytest.param(example, shape, id=f"{kind}-{index}")
        for kind, cls in members(family).items()
        for index, (example, shape) in enumerate(cls.examples())
    ]


def score(graph: Graph, x: Array) -> Any:
    """Return the only output of a graph for its only input."""
    session = onnxruntime.InferenceSession(
        graph.build("test").SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": x.astype(np.float32)})
    return y


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize(("layer", "shape"), cases(Layer))
def test_onnxruntime_computes_a_layer_as_chainrule_does(
    layer: Layer, shape: Shape, rows: int
) -> None:
    network = BoundNetwork(Network((layer,)), shape, stack=(), xp=np, dtype="float32")
    network.initialize([3])
    rng = np.random.default_rng(4)
    network.weights += 0.3 * rng.normal(size=network.weights.shape)
    network.state += 0.2 * rng.random(size=network.state.shape)
    x = layer.sample(rng, (rows, *shape)).astype(np.float32)
    y, _ = network.forward(x)

    graph = Graph()
    out = export_layer(
        graph, graph.input("x", "float", shape), layer, place_of(layer, network.scopes[0])
    )
    graph.output("y", out, "float", network.output_shape)

    np.testing.assert_allclose(score(graph, x), y, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize(("loss", "shape"), cases(Loss))
def test_onnxruntime_computes_predictions_as_chainrule_does(loss: Loss, shape: Shape) -> None:
    y = np.random.default_rng(5).normal(size=(6, *shape)).astype(np.float32)
    expected = loss.prediction(y.copy(), Scope(np, np.dtype("float32"), (), shape))

    graph = Graph()
    graph.output(
        "p", export_prediction(graph, graph.input("x", "float", shape), loss), "float", shape
    )

    np.testing.assert_allclose(score(graph, y), expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_every_member_has_an_exporter() -> None:
    assert set(LAYERS) == set(members(Layer))
    assert set(LOSSES) == set(members(Loss))


def test_a_layer_without_an_exporter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    relu = members(Layer)["relu"]()
    monkeypatch.delitem(LAYERS, "relu")
    with pytest.raises(InvalidError, match="'relu'"):
        export_layer(Graph(), "x", relu, Place((), {}))
