"""What single layers do beyond what the family promises."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from core.errors import InvalidError
from core.family import members
from core.nn.activation import Activation
from core.nn.array import Shape
from core.nn.initializers import Constant, Normal, Uniform
from core.nn.layer import Layer, LayerError, ShapeError
from core.nn.layers.average_pool2d import AveragePool2d
from core.nn.layers.batch_norm import BatchNorm
from core.nn.layers.conv1d import Conv1d
from core.nn.layers.conv2d import Conv2d
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import Dropout
from core.nn.layers.elu import Elu
from core.nn.layers.embedding import Embedding
from core.nn.layers.flatten import Flatten
from core.nn.layers.global_max_pool import GlobalMaxPool
from core.nn.layers.gru import Gru
from core.nn.layers.layer_norm import LayerNorm
from core.nn.layers.leaky_relu import LeakyRelu
from core.nn.layers.max_pool2d import MaxPool2d
from core.nn.layers.prelu import Prelu
from core.nn.layers.reshape import Reshape
from core.nn.layers.residual import Residual
from core.nn.network import BoundNetwork, Network
from core.nn.stack import stacked

FAMILY: TypeAdapter[Layer] = TypeAdapter(Layer)
EXAMPLES = [
    pytest.param(layer, id=f"{kind}-{index}")
    for kind, cls in members(Layer).items()
    for index, (layer, _) in enumerate(cls.examples())
]
ACTIVATIONS = [
    pytest.param(cls(), id=kind)
    for kind, cls in members(Layer).items()
    if issubclass(cls, Activation)
]


def bind(
    layer: Layer,
    shape: Shape,
    *,
    seeds: Sequence[int] = (1,),
    stack: Shape = (),
    dtype: str = "float64",
) -> BoundNetwork:
    network = BoundNetwork(Network((layer,)), shape, stack=stack, xp=np, dtype=dtype)
    network.initialize(seeds)
    network.scopes[0].input_gradient = True
    return network


@pytest.mark.parametrize("layer", EXAMPLES)
def test_json_and_back(layer: Layer) -> None:
    assert FAMILY.validate_json(FAMILY.dump_json(layer)) == layer


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", ACTIVATIONS)
def test_huge_inputs_stay_finite(layer: Layer, dtype: str) -> None:
    x = np.array([[-1e30, -1e4, -90.0, -20.0, 0.0, 20.0, 90.0, 1e4]], dtype)
    if layer.kind == "gelu":  # x^3 has to fit
        x = x.clip(-1e4, 1e4)
    y, backprop = bind(layer, (8,), dtype=dtype).forward(x)
    assert np.isfinite(y).all()
    assert np.isfinite(backprop(np.ones_like(y))).all()


@pytest.mark.parametrize("kind", ["recurrent", "gru", "lstm"])
def test_huge_inputs_shut_gates_and_stay_finite(kind: str) -> None:
    cls: Any = members(Layer)[kind]
    network = bind(cls(units=3), (4, 2), dtype="float32")
    x = np.random.default_rng(0).choice([-1e6, 1e6], (5, 4, 2)).astype("float32")
    y, backprop = network.forward(x, training=True)
    assert np.isfinite(y).all()
    assert np.isfinite(backprop(np.ones_like(y))).all()
    assert np.isfinite(network.gradients).all()


@pytest.mark.parametrize(
    "layers",
    [
        [Dropout(rate=0.1), Dropout(rate=0.5), Dropout(rate=0.0)],
        [LeakyRelu(slope=0.1), LeakyRelu(slope=0.3), LeakyRelu(slope=0.0)],
        [Elu(alpha=0.1), Elu(alpha=0.7), Elu(alpha=1.0)],
        [BatchNorm(momentum=0.1), BatchNorm(momentum=0.3), BatchNorm(momentum=0.7)],
        [BatchNorm(epsilon=0.1), BatchNorm(epsilon=0.3), BatchNorm(epsilon=1e-7)],
        [LayerNorm(epsilon=0.1), LayerNorm(epsilon=0.3), LayerNorm(epsilon=1e-7)],
        [Prelu(slope_initializer=Constant(value=v)) for v in (0.1, 0.2, 0.3)],
        [Dense(units=2, weight_initializer=Normal(deviation=v)) for v in (0.1, 0.2, 0.3)],
        [Dense(units=2, weight_initializer=Uniform(minimum=v)) for v in (-0.1, -0.2, 0.0)],
        [Residual(layers=(LeakyRelu(slope=v),)) for v in (0.1, 0.2, 0.3)],
    ],
    ids=lambda layers: layers[0].kind,
)
@pytest.mark.parametrize("shape", [(4,), (3, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_of_a_stack_have_their_own_hyperparameters(
    layers: list[Layer], shape: Shape, dtype: str
) -> None:
    seeds = (1, 2, 3)
    together = bind(stacked(layers), shape, seeds=seeds, stack=(3,), dtype=dtype)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 5, *shape)).astype(dtype)
    y, backprop = together.forward(x, training=True)
    dy = np.asarray(rng.normal(size=y.shape), dtype)
    dx = backprop(dy)
    assert y.dtype == dx.dtype == dtype
    for place, (layer, seed) in enumerate(zip(layers, seeds, strict=True)):
        alone = bind(layer, shape, seeds=[seed], dtype=dtype)
        own_y, own_backprop = alone.forward(x[place], training=True)
        np.testing.assert_array_equal(y[place], own_y)
        np.testing.assert_array_equal(dx[place], own_backprop(dy[place]))
        np.testing.assert_array_equal(together.weights[place], alone.weights)
        np.testing.assert_array_equal(together.gradients[place], alone.gradients)
        np.testing.assert_array_equal(together.state[place], alone.state)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    network = bind(Dropout(rate=0.3), (1000,))
    x = np.ones((100, 1000))
    y, backprop = network.forward(x, training=True)
    assert 0.29 < (y == 0).mean() < 0.31
    np.testing.assert_allclose(y[y != 0], 1 / 0.7)
    np.testing.assert_array_equal(backprop(x), y)


def test_dropout_draws_anew_each_step_and_again_from_the_same_seed() -> None:
    x = np.ones((2, 50))
    network, other = bind(Dropout(), (50,)), bind(Dropout(), (50,))
    first = network.forward(x, training=True)[0].copy()
    second = network.forward(x, training=True)[0].copy()
    assert (first != second).any()
    np.testing.assert_array_equal(first, other.forward(x, training=True)[0])
    np.testing.assert_array_equal(second, other.forward(x, training=True)[0])


def test_dropout_does_nothing_outside_training() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5))
    y, _ = bind(Dropout(), (5,)).forward(x)
    np.testing.assert_array_equal(y, x)


def test_dropout_inside_a_residual_knows_whether_it_trains() -> None:
    layer = Residual(layers=(Residual(layers=(Dropout(),)),))
    network, x = bind(layer, (50,)), np.ones((2, 50))
    assert (network.forward(x, training=True)[0] != 3).any()
    np.testing.assert_array_equal(network.forward(x)[0], 3 * x)


def test_batch_norm_uses_what_it_has_seen_outside_training() -> None:
    network = bind(BatchNorm(momentum=1.0), (2,))
    x = np.random.default_rng(0).normal(3.0, 2.0, (100, 2))
    network.forward(x, training=True)
    state = network.state.copy()
    y, backprop = network.forward(x)
    np.testing.assert_array_equal(network.state, state)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=0, ddof=1), 1, rtol=1e-4)
    above = network.forward(x + 1e-6)[0].copy()
    slope = (above - network.forward(x - 1e-6)[0]) / 2e-6
    np.testing.assert_allclose(backprop(np.ones_like(x)), slope, rtol=1e-6)


def test_batch_norm_takes_a_batch_of_one() -> None:
    network = bind(BatchNorm(), (3,))
    y, backprop = network.forward(np.ones((1, 3)), training=True)
    np.testing.assert_array_equal(y, 0)
    assert np.isfinite(backprop(np.ones((1, 3)))).all()
    assert np.isfinite(network.state).all()


@pytest.mark.parametrize("bad", [-1.0, 5.0, np.nan, np.inf])
def test_embedding_refuses_what_is_no_id(bad: float) -> None:
    with pytest.raises(InvalidError, match="ids from 0 to 4"):
        bind(Embedding(vocabulary=5, units=2), (1,)).forward(np.array([[bad]]))


def test_embedding_adds_up_what_an_id_gets() -> None:
    network = bind(Embedding(vocabulary=3, units=2), (4,))
    _, backprop = network.forward(np.array([[2.0, 0.0, 2.0, 2.0]]), training=True)
    backprop(np.arange(8.0).reshape(1, 4, 2))
    np.testing.assert_array_equal(network.gradient_views["[0].weight"], [[2, 3], [0, 0], [10, 13]])


@pytest.mark.parametrize(
    ("layer", "shape", "wanted"),
    [
        (Conv2d(filters=5, kernel=3, padding="same", stride=2), (7, 8, 2), (4, 4, 5)),
        (Conv2d(filters=5, kernel=3, padding=(0, 2), dilation=2), (7, 8, 2), (3, 8, 5)),
        (Conv1d(filters=5, kernel=4, stride=3), (10, 2), (3, 5)),
        (MaxPool2d(), (7, 8, 2), (3, 4, 2)),
        (AveragePool2d(size=3, stride=1, padding="same"), (7, 8, 2), (7, 8, 2)),
        (GlobalMaxPool(), (7, 8, 2), (2,)),
        (Flatten(), (7, 8, 2), (112,)),
        (Flatten(), (), (1,)),
        (Reshape(shape=(4, 4)), (2, 8), (4, 4)),
        (Gru(units=3), (7, 2), (3,)),
        (Gru(units=3, return_sequences=True), (7, 2), (7, 3)),
        (Embedding(vocabulary=9, units=4), (7,), (7, 4)),
    ],
)
def test_output_shapes(layer: Layer, shape: Shape, wanted: Shape) -> None:
    assert layer.output(shape) == wanted


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Conv2d(filters=4, kernel=3),
            (5, 5),
            r"expected images of shape \(height, width, channels\)",
        ),
        (Conv2d(filters=4, kernel=3, dilation=3), (5, 5, 1), "spans 7 cells does not fit"),
        (Conv2d(filters=4, kernel=3, groups=3), (5, 5, 3), "4 filters cannot be split into 3"),
        (Conv2d(filters=4, kernel=3, groups=2), (5, 5, 3), "3 channels cannot be split into 2"),
        (Conv1d(filters=4, kernel=3), (5, 5, 3), r"expected a series of shape \(time, channels\)"),
        (MaxPool2d(size=2, padding=2), (5, 5, 3), "must be less than the window size 2"),
        (GlobalMaxPool(), (5,), r"expects features of shape \(..., channels\)"),
        (Reshape(shape=(3,)), (5,), "with 5 numbers"),
        (Gru(units=2), (5,), r"expects a series of shape \(time, features\)"),
        (Residual(layers=(Dense(units=3),)), (2,), r"preserve the shape \(2,\), but return \(3,\)"),
        (Prelu(), (), "at least one feature axis"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(layer: Layer, shape: Shape, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer.output(shape)


def test_a_layer_inside_a_residual_is_named() -> None:
    inner = Residual(layers=(Dense(units=2), Reshape(shape=(3,))))
    network = Network((Flatten(), Residual(layers=(inner,))))
    with pytest.raises(LayerError) as caught:
        network.output((2,))
    assert caught.value.path == "[1].layers[0].layers[1]"


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "conv2d", "filters": 0, "kernel": 3},
        {"kind": "conv2d", "filters": 3, "kernel": 0},
        {"kind": "conv2d", "filters": 3, "kernel": [3, 3, 3]},
        {"kind": "conv2d", "filters": 3, "kernel": 3, "padding": "full"},
        {"kind": "conv2d", "filters": 3, "kernel": 3, "padding": -1},
        {"kind": "dropout", "rate": 1.0},
        {"kind": "residual", "layers": []},
        {"kind": "residual", "layers": [{"kind": "nothing"}]},
        {"kind": "gru", "units": 2, "unknown": 1},
        {"kind": "reshape", "shape": []},
        {"kind": "leaky_relu", "slope": float("nan")},
    ],
)
def test_hyperparameters_out_of_bounds_are_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FAMILY.validate_python(document)
