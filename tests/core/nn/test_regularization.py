"""Penalties, decay, clipping, norms and averages: by formula, in stacks, fused and not."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from core.nn.initializers import Normal
from core.nn.layers.dense import Dense
from core.nn.layers.relu import Relu
from core.nn.network import BoundNetwork, Network
from core.nn.regularization import Averaging, Regularization, Regularizer

NETWORK = Network(
    (
        Dense(units=3, bias_initializer=Normal(deviation=1.0)),
        Relu(),
        Dense(units=2, bias=False),
        Dense(units=2),
    )
)
WEIGHTS = ["[0].weight", "[2].weight", "[3].weight"]
both = pytest.mark.parametrize("fuse", [False, True])


def network(stack: Any = (), dtype: str = "float64") -> BoundNetwork:
    bound = BoundNetwork(NETWORK, (4,), stack=stack, xp=np, dtype=dtype)
    bound.initialize(range(max(1, int(np.prod(stack)))))
    rng = np.random.default_rng(1)
    bound.gradients[...] = rng.normal(size=bound.gradients.shape)
    return bound


def norm(array: Any) -> float:
    return float(np.sqrt((array**2).sum()))


def test_nothing_asked_nothing_done() -> None:
    bound = network()
    kept = bound.weights.copy(), bound.gradients.copy()
    regularizer = Regularizer(Regularization(), bound)
    assert not regularizer.active
    regularizer.before(0.1)
    regularizer.after()
    np.testing.assert_array_equal(bound.weights, kept[0])
    np.testing.assert_array_equal(bound.gradients, kept[1])
    assert regularizer.penalty() == 0


@both
def test_gradients_of_the_penalty_are_added_and_biases_spared(fuse: bool) -> None:
    bound = network()
    kept = bound.gradients.copy()
    regularizer = Regularizer(Regularization(l1=0.3, l2=0.7), bound, fuse=fuse)
    assert regularizer.active
    regularizer.before(0.1)
    added, step = bound.gradients - kept, 1e-6
    assert np.all(added[12:15] == 0)
    assert np.count_nonzero(added) == 12 + 6 + 4
    for place in range(len(added)):
        values = []
        for sign in (1, -1):
            bound.weights[place] += sign * step
            values.append(regularizer.penalty())
            bound.weights[place] -= sign * step
        np.testing.assert_allclose(added[place], (values[0] - values[1]) / (2 * step), atol=1e-7)


@both
def test_decoupled_decay_shrinks_by_the_rate(fuse: bool) -> None:
    bound = network()
    kept = {name: view.copy() for name, view in bound.views.items()}
    Regularizer(Regularization(weight_decay=0.5), bound, fuse=fuse).before(0.2)
    for name, view in bound.views.items():
        np.testing.assert_array_equal(view, kept[name] * (0.9 if name in WEIGHTS else 1.0))


@both
def test_clipping(fuse: bool) -> None:
    bound = network()
    kept = bound.gradients.copy()
    Regularizer(Regularization(clip_value=0.5), bound, fuse=fuse).before(0.1)
    np.testing.assert_array_equal(bound.gradients, np.clip(kept, -0.5, 0.5))

    bound = network()
    before = {name: view.copy() for name, view in bound.gradient_views.items()}
    limit = sorted(map(norm, before.values()))[2]
    Regularizer(Regularization(clip_norm=limit), bound, fuse=fuse).before(0.1)
    for name, view in bound.gradient_views.items():
        np.testing.assert_allclose(norm(view), min(limit, norm(before[name])))
        np.testing.assert_allclose(view / norm(view), before[name] / norm(before[name]))

    bound = network()
    Regularizer(Regularization(clip_global_norm=1.5), bound, fuse=fuse).before(0.1)
    np.testing.assert_allclose(norm(bound.gradients), 1.5)
    np.testing.assert_allclose(bound.gradients / 1.5, kept / norm(kept))
    bound = network()
    Regularizer(Regularization(clip_global_norm=1e3), bound, fuse=fuse).before(0.1)
    np.testing.assert_array_equal(bound.gradients, kept)


def test_weights_into_a_unit_keep_within_their_norm() -> None:
    bound = network()
    kept = {name: view.copy() for name, view in bound.views.items()}
    limit = float(np.median(np.sqrt((kept["[0].weight"] ** 2).sum(axis=0))))
    Regularizer(Regularization(max_norm=limit), bound).after()
    np.testing.assert_array_equal(bound.views["[0].bias"], kept["[0].bias"])
    for name in WEIGHTS:
        norms = np.sqrt((kept[name] ** 2).sum(axis=0))
        expected = kept[name] * np.minimum(1, limit / norms)
        np.testing.assert_allclose(bound.views[name], expected, rtol=1e-12)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stack_is_regularized_as_each_network_alone(fuse: bool, dtype: str) -> None:
    whole = Regularization(
        l1=0.1,
        l2=0.2,
        weight_decay=0.3,
        max_norm=0.8,
        clip_value=0.9,
        clip_norm=1.1,
        clip_global_norm=1.3,
    )
    names = [field.name for field in fields(whole)]
    solos = [
        replace(whole, **{n: getattr(whole, n) * (1 - 0.1 * row) for n in names})
        for row in range(3)
    ]
    numbers: dict[str, Any] = {n: np.array([[getattr(s, n)] for s in solos]) for n in names}
    together = replace(whole, **numbers)
    stack = network((3,), dtype)
    starts = stack.weights.copy(), stack.gradients.copy()
    regularizer = Regularizer(together, stack, fuse=fuse)
    rates = np.array([[0.1], [0.2], [0.3]])
    before = regularizer.penalty()
    regularizer.before(rates)
    regularizer.after()
    assert before.shape == (3,)
    assert before.dtype == stack.weights.dtype == dtype
    for row, solo in enumerate(solos):
        alone = network((), dtype)
        alone.weights[...], alone.gradients[...] = starts[0][row], starts[1][row]
        one = Regularizer(solo, alone, fuse=fuse)
        np.testing.assert_array_equal(before[row], one.penalty())
        one.before(float(rates[row, 0]))
        one.after()
        np.testing.assert_array_equal(stack.gradients[row], alone.gradients)
        np.testing.assert_array_equal(stack.weights[row], alone.weights)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_average_follows_the_weights(dtype: str) -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(2, 40)).astype(dtype)
    decay = np.array([[0.9], [0.5]])
    plain, quick = (Averaging(w, np, decay, fuse=fuse) for fuse in (False, True))
    np.testing.assert_array_equal(plain.values, w)
    expected = w.astype("float64")
    for _ in range(5):
        w[...] = rng.normal(size=w.shape)
        plain.update()
        quick.update()
        expected = decay * expected + (1 - decay) * w
    np.testing.assert_array_equal(plain.values, quick.values)
    assert plain.values.dtype == dtype
    np.testing.assert_allclose(plain.values, expected, rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize(
    "wrong", [{"l2": -1}, {"clip_value": 0}, {"max_norm": float("inf")}, {"l3": 1.0}]
)
def test_what_makes_no_sense_is_refused(wrong: Any) -> None:
    adapter = TypeAdapter(Regularization)
    assert adapter.validate_python({"l2": 0.1, "max_norm": 3}).max_norm == 3
    with pytest.raises(ValidationError):
        adapter.validate_python(wrong)
