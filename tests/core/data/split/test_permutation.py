"""Orders by seed: the same everywhere, and those of a fresh generator."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.data.split.permutation import permutation, words


@pytest.mark.parametrize("count", [0, 1, 3, 4, 1001])
def test_words_are_those_of_a_new_generator_with_the_key(count: int) -> None:
    words(3, 8, "something", "else")  # leaves a generator amidst its buffer
    key = np.frombuffer(hashlib.sha256(b"7/order/2").digest()[:16], "<u8")
    expected = np.random.Philox(key=key).random_raw(count)
    np.testing.assert_array_equal(words(count, 7, "order", 2), expected)


def test_an_order_has_every_row_once_and_is_known() -> None:
    order = permutation(10, 7, "order", 0)
    assert sorted(order.tolist()) == list(range(10))
    assert order.tolist() == [3, 1, 6, 9, 8, 4, 2, 5, 0, 7]


def test_threads_do_not_disturb_each_other() -> None:
    alone = [permutation(500, seed, "order") for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: permutation(500, seed, "order"), range(40)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
