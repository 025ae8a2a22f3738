"""Networks: shapes and sizes by arithmetic, weights in one vector, gradients through all layers."""

import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from core.nn.array import Shape, generators
from core.nn.initializers import Normal, Uniform
from core.nn.layers.batch_norm import BatchNorm
from core.nn.layers.conv2d import Conv2d
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import Dropout
from core.nn.layers.embedding import Embedding
from core.nn.layers.flatten import Flatten
from core.nn.layers.gru import Gru
from core.nn.layers.max_pool2d import MaxPool2d
from core.nn.layers.relu import Relu
from core.nn.layers.reshape import Reshape
from core.nn.layers.residual import Residual
from core.nn.layers.tanh import Tanh
from core.nn.network import RANDOM, BoundNetwork, LayerError, Network
from core.nn.stack import stacked

IMAGES = Network(
    (
        Reshape(shape=(6, 6, 1)),
        Conv2d(filters=3, kernel=3),
        BatchNorm(),
        Tanh(),
        MaxPool2d(),
        Residual(layers=(Conv2d(filters=3, kernel=3, padding="same"), Tanh(), Dropout(rate=0.2))),
        Flatten(),
        Dense(units=2),
    )
)
SERIES = Network((Embedding(vocabulary=5, units=3), Gru(units=2), Dense(units=2)))
CASES = [pytest.param(IMAGES, (36,), id="images"), pytest.param(SERIES, (4,), id="series")]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def bind(
    network: Network, shape: Shape, *, seeds: Sequence[int] = (1,), stack: Shape = ()
) -> BoundNetwork:
    bound = BoundNetwork(network, shape, stack=stack, xp=np, dtype="float64")
    bound.initialize(seeds)
    return bound


def sample(network: Network, shape: Shape, *, seed: int = 3, batch: int = 4) -> np.ndarray:
    return network.layers[0].sample(np.random.default_rng(seed), (batch, *shape))


@pytest.mark.parametrize(("network", "shape"), CASES)
def test_gradients_through_all_layers(network: Network, shape: Shape) -> None:
    bound = bind(network, shape)
    x = sample(network, shape)
    chance = bound.scopes[0].generators[0]
    start = chance.bit_generator.state

    def total() -> float:
        chance.bit_generator.state = start
        return float((bound.forward(x, training=True)[0] * dy).sum())

    y, backprop = bound.forward(x, training=True)
    dy = np.random.default_rng(9).normal(size=y.shape)
    backprop(dy)
    learned = bound.gradients.copy()
    found = np.zeros_like(learned)
    for index, kept in enumerate(bound.weights.copy()):
        bound.weights[index] = kept + 1e-5
        above = total()
        bound.weights[index] = kept - 1e-5
        found[index] = (above - total()) / 2e-5
        bound.weights[index] = kept
    assert np.abs(found - learned).max() < 1e-6 * np.abs(learned).max()


@pytest.mark.parametrize(("network", "shape"), CASES)
def test_a_stack_equals_its_networks_alone(network: Network, shape: Shape) -> None:
    seeds = (5, 6, 7)
    together = bind(network, shape, seeds=seeds, stack=(3,))
    x = np.stack([sample(network, shape, seed=seed) for seed in seeds])
    y, backprop = together.forward(x, training=True)
    backprop(np.ones_like(y))
    for place, seed in enumerate(seeds):
        alone = bind(network, shape, seeds=[seed])
        own, own_backprop = alone.forward(x[place], training=True)
        own_backprop(np.ones_like(own))
        np.testing.assert_array_equal(y[place], own)
        np.testing.assert_array_equal(together.weights[place], alone.weights)
        np.testing.assert_array_equal(together.gradients[place], alone.gradients)
        np.testing.assert_array_equal(together.state[place], alone.state)


@pytest.mark.parametrize(("network", "shape"), CASES)
def test_size_is_counted_without_allocating(network: Network, shape: Shape) -> None:
    assert network.size(shape) == bind(network, shape).weights.size


def test_a_giant_is_counted_in_no_memory() -> None:
    tracemalloc.start()
    try:
        giant = Network((Dense(units=1_000_000), Dense(units=1_000_000)))
        assert giant.size((1_000_000,)) == 2 * (10**12 + 10**6)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_views_are_parts_of_one_vector() -> None:
    bound = bind(IMAGES, (36,), seeds=(1, 2), stack=(2,))
    bound.weights[...] = 7
    assert all((view == 7).all() for view in bound.views.values())
    assert sum(view.size for view in bound.views.values()) == bound.weights.size
    assert list(bound.views)[:3] == ["[1].weight", "[1].bias", "[2].scale"]
    assert "[5].layers[0].weight" in bound.views
    assert list(bound.state_views) == ["[2].mean", "[2].variance"]


def test_the_first_layer_that_learns_does_not_work_out_dx() -> None:
    bound = bind(Network((Flatten(), Dense(units=3), Relu(), Dense(units=2))), (2, 2))
    y, backprop = bound.forward(np.ones((3, 2, 2)), training=True)
    assert backprop(np.ones_like(y)) is None
    assert [scope.input_gradient for scope in bound.scopes] == [True, False, True, True]


def test_equal_seeds_give_equal_weights_and_other_seeds_others() -> None:
    first, second, other = (bind(IMAGES, (36,), seeds=[seed]).weights for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_each_network_of_a_stack_starts_from_its_own_initializer() -> None:
    networks = [
        Network((Dense(units=2, weight_initializer=initializer),))
        for initializer in (Normal(deviation=0.1), Normal(deviation=0.3, mean=2.0))
    ]
    together = bind(stacked(networks), (3,), seeds=(1, 2), stack=(2,))
    for place, network in enumerate(networks):
        alone = bind(network, (3,), seeds=[place + 1])
        np.testing.assert_array_equal(together.weights[place], alone.weights)


def test_a_range_upside_down_in_any_network_of_a_stack_is_refused() -> None:
    minima: Any = np.array([[0.0], [2.0]])
    with pytest.raises(ValueError, match="minimum"):
        Uniform(minimum=minima, maximum=1.0)


def test_the_layer_that_does_not_fit_is_named() -> None:
    with pytest.raises(LayerError, match="series") as caught:
        Network((Flatten(), Gru(units=2))).output((2, 2))
    assert caught.value.path == "[1]"


def test_chance_moves_on_with_every_batch_and_can_be_put_back() -> None:
    bound = bind(Network((Dropout(),)), (20,))
    x = np.ones((2, 20))
    first = bound.forward(x, training=True)[0].copy()
    assert (bound.forward(x, training=True)[0] != first).any()
    for scope in bound.scopes:
        scope.generators = generators([1], RANDOM)
    np.testing.assert_array_equal(bound.forward(x, training=True)[0], first)


@pytest.mark.parametrize(
    ("shape", "layers", "work", "numbers"),
    [
        ((3,), (Relu(),), 0, 3 + 3),
        ((3,), (Dense(units=5), Dense(units=2)), 3 * 5 + 5 + 5 * 2 + 2, 3 + 5 + 2),
        ((6, 6, 1), (Conv2d(filters=4, kernel=3),), 36 * (9 * 4 + 4), 36 + 64),
        ((7,), (Embedding(vocabulary=1000, units=3),), 21, 7 + 21),
        ((7, 2), (Gru(units=3),), 7 * (2 * 9 + 3 * 9 + 12), 14 + 3),
    ],
    ids=["relu", "dense", "conv2d", "embedding", "gru"],
)
def test_arithmetic_of_a_row(shape: Shape, layers: Any, work: int, numbers: int) -> None:
    network = BoundNetwork(Network(layers), shape, stack=(), xp=np, dtype="float32")
    assert network.numbers_per_row == numbers
    assert network.work_per_row == work
