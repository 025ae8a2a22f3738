"""Every optimizer: fused equals plain, a stack equals solo, precision kept, state restored."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import core.nn.optimizers  # noqa: F401
from core.family import members
from core.nn.compile.elementwise import BLOCK
from core.nn.hyperparameters import power
from core.nn.optimizer import Optimizer, Updater
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.sgd import Sgd

CASES = [example for one in members(Optimizer).values() for example in one.examples()]


def name(case: Any) -> str:
    return f"{case.kind}-{[getattr(case, f.name) for f in fields(case)][1:]}"


def gradients(shape: tuple[int, ...], steps: int, dtype: str, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    drawn = [(0.3 * rng.standard_normal(shape)).astype(dtype) for _ in range(steps)]
    for g in drawn:
        g[..., ::7] = 0
    return drawn


def run(
    optimizer: Any, start: Any, steps: list[Any], fuse: bool | None, rates: list[Any] | None = None
) -> Updater:
    w = start.copy()
    updater = Updater(optimizer, np, w, fuse=fuse)
    g = np.empty_like(w)
    for i, step in enumerate(steps):
        g[...] = step
        updater.update(g, optimizer.learning_rate if rates is None else rates[i])
    assert updater.step == len(steps)
    return updater


def weights(updater: Updater) -> Any:
    return updater._weights


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=name)
def test_fused_gives_the_bits_of_array_calls(case: Any, dtype: str) -> None:
    size = 2 * BLOCK + 37
    start = np.random.default_rng(1).standard_normal(size).astype(dtype)
    steps = gradients((size,), 8, dtype)
    plain, quick = run(case, start, steps, False), run(case, start, steps, True)
    assert not plain.fused
    assert quick.fused
    assert weights(plain).dtype == weights(quick).dtype == dtype
    assert not np.array_equal(weights(plain), start)
    np.testing.assert_array_equal(weights(plain), weights(quick))
    for slot in case.slots:
        assert np.any(plain.slots[slot])
        np.testing.assert_array_equal(plain.slots[slot], quick.slots[slot])


@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_stack_moves_each_network_as_if_alone(case: Any, dtype: str, fuse: bool) -> None:
    k, size = 3, 41
    solos = []
    for row in range(k):
        scaled = {
            f.name: value * (1 - 0.05 * row)
            for f in fields(case)
            if isinstance(value := getattr(case, f.name), float)
        }
        solos.append(replace(case, **scaled))
    together = replace(
        case,
        **{
            f.name: np.array([[getattr(one, f.name)] for one in solos])
            for f in fields(case)
            if isinstance(getattr(case, f.name), float)
        },
    )
    start = np.random.default_rng(2).standard_normal((k, size)).astype(dtype)
    steps = gradients((k, size), 9, dtype)
    stack = run(together, start, steps, fuse)
    for row, solo in enumerate(solos):
        alone = run(solo, start[row], [g[row] for g in steps], fuse)
        np.testing.assert_array_equal(weights(stack)[row], weights(alone))


@pytest.mark.parametrize("case", CASES, ids=name)
def test_going_on_from_saved_slots_gives_the_same_bits(case: Any) -> None:
    start = np.random.default_rng(3).standard_normal(50)
    steps = gradients((50,), 12, "float64")
    whole = run(case, start, steps, None)
    first = run(case, start, steps[:5], False)
    w = weights(first).copy()
    second = Updater(case, np, w, fuse=True)
    second.step = first.step
    for slot, value in first.slots.items():
        second.slots[slot][...] = value
    for g in steps[5:]:
        second.update(g.copy(), case.learning_rate)
    np.testing.assert_array_equal(weights(whole), w)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_it_goes_down_a_valley(case: Any) -> None:
    """On `w^2 / 2` with a gentle rate no member may go up over a hundred steps."""
    w = np.array([1.0, -2.0, 0.5])
    updater = Updater(case, np, w)
    rate = min(case.learning_rate, 0.05)
    for _ in range(100):
        updater.update(w.copy(), rate)
    assert (w**2).sum() < 1.0 + 4.0 + 0.25 - 1e-3


def test_the_rate_may_change_from_step_to_step_and_from_network_to_network() -> None:
    start = np.zeros((2, 5))
    steps = [np.ones((2, 5))] * 2
    rates = [np.array([[1.0], [2.0]]), 0.5]
    for fuse in (False, True):
        moved = weights(run(Sgd(), start, steps, fuse, rates))
        np.testing.assert_array_equal(moved, [[-1.5] * 5, [-2.5] * 5])


def test_another_gradient_array_is_read_after_fusing() -> None:
    w = np.zeros(4)
    updater = Updater(Sgd(), np, w, fuse=True)
    updater.update(np.ones(4), 1.0)
    updater.update(np.full(4, 10.0), 1.0)
    np.testing.assert_array_equal(w, [-11.0] * 4)


def test_plain_descent_keeps_nothing_and_slots_cannot_be_swapped_away() -> None:
    assert Sgd().slots == ()
    assert Sgd(momentum=0.5).slots == ("v",)
    updater = Updater(Adam(), np, np.zeros(3))
    with pytest.raises(TypeError):
        updater.slots["m"] = np.ones(3)  # type: ignore[index]


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValueError, match="momentum above 0"):
        Sgd(nesterov=True)


def test_power_has_the_same_bits_for_a_number_and_an_array() -> None:
    bases = np.array([[0.9], [0.999], [0.5]])
    for step in (1, 7, 1000):
        np.testing.assert_array_equal(power(bases, step)[:, 0], [b[0] ** step for b in bases])


def test_a_network_without_weights_can_be_updated() -> None:
    for fuse in (False, True):
        Updater(Adam(), np, np.zeros(0), fuse=fuse).update(np.zeros(0), 0.1)
