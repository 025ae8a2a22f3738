"""What every layer promises, checked on the examples of every member."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from core.family import members
from core.nn.array import Array, Shape, generators
from core.nn.layer import Layer
from core.nn.network import RANDOM, BoundNetwork, Network

CASES = [
    pytest.param(layer, shape, id=f"{kind}-{index}")
    for kind, cls in members(Layer).items()
    for index, (layer, shape) in enumerate(cls.examples())
]
SEEDS = (11, 12, 13)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def bind(
    layer: Layer,
    shape: Shape,
    *,
    dtype: str = "float64",
    seeds: Sequence[int] = SEEDS[:1],
    stack: Shape = (),
) -> BoundNetwork:
    """The layer as a network of one, its weights all drawn at random, its dx wanted."""
    network = BoundNetwork(Network((layer,)), shape, stack=stack, xp=np, dtype=dtype)
    network.initialize(seeds)
    drawn = [np.random.default_rng(seed).normal(size=network.weights.shape[-1]) for seed in seeds]
    network.weights += 0.3 * np.reshape(drawn, network.weights.shape)
    network.scopes[0].input_gradient = True
    return network


def run(network: BoundNetwork, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Outputs and backprop in training, with the random numbers of a new network."""
    for scope in network.all_scopes():
        scope.generators = generators(SEEDS[:1], RANDOM)
    return network.forward(x, training=True)


def sample(layer: Layer, shape: Shape, *, batch: int = 3, seed: int = 5) -> Array:
    return layer.sample(np.random.default_rng(seed), (batch, *shape))


def gradient(y: Array) -> Array:
    """A random gradient of outputs `y`."""
    return np.asarray(np.random.default_rng(6).normal(size=y.shape), y.dtype)


def slopes(f: Callable[[], float], place: Array, step: float = 1e-3) -> Array:
    """The derivative of `f` by each number of `place`, to fourth order in the step."""
    found = np.zeros(place.shape)
    for index in np.ndindex(place.shape):
        kept = place[index]
        values = []
        for offset in (-2, -1, 1, 2):
            place[index] = kept + offset * step
            values.append(f())
        place[index] = kept
        found[index] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return found


def assert_near(found: Array, wanted: Array, limit: float = 1e-6) -> None:
    scale = max(np.abs(wanted).max(initial=0), np.abs(found).max(initial=0), 1e-3)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max(initial=0) < limit * scale


@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_gradients_are_those_of_finite_differences(layer: Layer, shape: Shape) -> None:
    network = bind(layer, shape)
    x = sample(layer, shape)
    y, backprop = run(network, x)
    assert y.shape == (3, *layer.output(shape))
    dy = gradient(y)
    dx = backprop(dy).copy()
    learned = network.gradients.copy()

    def total() -> float:
        return float((run(network, x)[0] * dy).sum())

    assert_near(dx, slopes(total, x))
    assert_near(learned, slopes(total, network.weights))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_shapes_and_dtype_are_kept_and_inputs_untouched(
    layer: Layer, shape: Shape, dtype: str
) -> None:
    network = bind(layer, shape, dtype=dtype)
    x = sample(layer, shape).astype(dtype)
    x_before = x.copy()
    weights_before = network.weights.copy()
    y, backprop = run(network, x)
    assert y.dtype == dtype
    assert y.shape == (3, *layer.output(shape))
    dy = gradient(y)
    dy_before = dy.copy()
    dx = backprop(dy)
    assert dx.dtype == dtype
    assert dx.shape == x.shape
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(dy, dy_before)
    np.testing.assert_array_equal(network.weights, weights_before)
    for scope in network.all_scopes():
        assert all(gradient.dtype == dtype for gradient in scope.gradients.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_a_stack_equals_its_networks_alone(
    layer: Layer, shape: Shape, training: bool, dtype: str
) -> None:
    together = bind(layer, shape, seeds=SEEDS, stack=(3,), dtype=dtype)
    x = np.stack([sample(layer, shape, batch=4, seed=seed) for seed in SEEDS]).astype(dtype)
    y, backprop = together.forward(x, training=training)
    dy = gradient(y)
    dx = backprop(dy)
    for place, seed in enumerate(SEEDS):
        alone = bind(layer, shape, seeds=[seed], dtype=dtype)
        own_y, own_backprop = alone.forward(x[place], training=training)
        np.testing.assert_array_equal(y[place], own_y)
        np.testing.assert_array_equal(dx[place], own_backprop(dy[place]))
        np.testing.assert_array_equal(together.weights[place], alone.weights)
        np.testing.assert_array_equal(together.gradients[place], alone.gradients)
        np.testing.assert_array_equal(together.state[place], alone.state)


@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_batches_of_any_size_follow_each_other(layer: Layer, shape: Shape) -> None:
    used = bind(layer, shape)
    for batch in (5, 2, 1, 7, 2, 5):
        x = sample(layer, shape, batch=batch, seed=batch)
        fresh = bind(layer, shape)
        fresh.state[...] = used.state
        y, backprop = run(used, x)
        wanted, wanted_backprop = run(fresh, x)
        np.testing.assert_array_equal(y, wanted)
        dy = gradient(y)
        np.testing.assert_array_equal(backprop(dy), wanted_backprop(dy))
        np.testing.assert_array_equal(used.gradients, fresh.gradients)


@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_gradients_do_not_add_up_over_steps(layer: Layer, shape: Shape) -> None:
    network = bind(layer, shape)
    x = sample(layer, shape)
    y, backprop = run(network, x)
    dy = np.ones_like(y)
    first = backprop(dy).copy(), network.gradients.copy()
    _, backprop = run(network, x)
    np.testing.assert_array_equal(backprop(dy), first[0])
    np.testing.assert_array_equal(network.gradients, first[1])


@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_weight_gradients_are_the_same_when_nobody_reads_dx(layer: Layer, shape: Shape) -> None:
    network, other = bind(layer, shape), bind(layer, shape)
    other.scopes[0].input_gradient = False
    x = sample(layer, shape)
    y, backprop = run(network, x)
    dy = gradient(y)
    backprop(dy)
    run(other, x)[1](dy)
    np.testing.assert_array_equal(network.gradients, other.gradients)


@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_inputs_need_not_lie_in_order_in_memory(layer: Layer, shape: Shape) -> None:
    network = bind(layer, shape)
    x = sample(layer, shape)
    y, backprop = run(network, x)
    y, dy = y.copy(), gradient(y)
    dx, learned = backprop(dy).copy(), network.gradients.copy()
    strewn_x, strewn_dy = (
        np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0) for a in (x, dy)
    )
    strewn_y, backprop = run(network, strewn_x)
    assert_near(strewn_y, y, 1e-12)
    assert_near(backprop(strewn_dy), dx, 1e-12)
    assert_near(network.gradients, learned, 1e-12)
