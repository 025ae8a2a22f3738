"""A tape plays what was recorded, on new numbers, and says when it cannot."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.nn.array import Array
from core.nn.compile.tape import NAMESPACE, Tape, plain, recorded


def play_again(
    compute: Callable[[Array], Array], first: Array, second: Array
) -> tuple[Tape, Array, Array]:
    """What a tape recorded on `first` gives for `second`, and what `compute` itself gives."""
    memory = first.copy()
    tape = Tape()
    with tape:
        result = plain(compute(recorded(memory)))
    memory[...] = second
    tape.play()
    return tape, np.array(result), np.asarray(compute(second.copy()))


COMPUTATIONS: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda x: np.exp(x) * 2 + 1,
    "in place": lambda x: np.subtract(x, 1) ** 2,
    "reductions": lambda x: x.max(axis=-1, keepdims=True) + x.sum(axis=-1, keepdims=True),
    "a mean": lambda x: np.multiply(x, x).sum(axis=-1),
    "views": lambda x: np.matmul(x.swapaxes(-1, -2), x).reshape(-1)[::2] + 1,
    "a choice": lambda x: np.add(NAMESPACE.take(x.reshape(-1), np.array([3, 1])), 0),
}


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_it_plays_on_new_numbers(name: str) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 4)).astype(np.float32)
    tape, played, expected = play_again(COMPUTATIONS[name], first, second)
    assert tape.sound
    assert played.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "compute",
    [lambda x: x.copy() + 1, lambda x: x[[0, 1]] + 1, lambda x: np.add.accumulate(x, axis=0)],
    ids=["a copy", "fancy indices", "an accumulation"],
)
def test_what_cannot_be_noted_makes_it_unsound(compute: Callable[[Array], Array]) -> None:
    tape = Tape()
    with tape:
        compute(recorded(np.ones((3, 4))))
    assert not tape.sound


def test_adding_at_indices_is_done_and_makes_it_unsound() -> None:
    tape, total = Tape(), np.zeros(3)
    with tape:
        np.add.at(total, np.array([0, 2, 2]), recorded(np.ones(3)))
    assert total.tolist() == [1, 0, 2]
    assert not tape.sound


def test_writing_into_a_recorded_array_makes_it_unsound() -> None:
    tape = Tape()
    with tape:
        array = recorded(np.ones(3))
        array[0] = 2
    assert not tape.sound


def test_nothing_is_noted_outside() -> None:
    array = recorded(np.ones(3))
    tape = Tape()
    with tape:
        pass
    np.add(array, 1)
    assert not tape.calls
