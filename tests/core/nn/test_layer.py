"""A scope: buffers, hyperparameters of a stack, chance."""

from collections.abc import Sequence

import numpy as np
import pytest

from core.nn.array import Shape, generators
from core.nn.layer import VIEWS, Scope


def scope(
    stack: Shape = (), shape: Shape = (3,), generators: Sequence[np.random.Generator] = ()
) -> Scope:
    return Scope(np, np.dtype("float32"), stack, shape, generators=list(generators))


def test_the_same_name_and_shape_give_the_same_buffer() -> None:
    one = scope()
    assert one.buffer("y", (2, 3)) is one.buffer("y", (2, 3))
    assert one.buffer("y", (2, 3)).dtype == np.float32
    assert one.buffer("mask", (2, 3), bool).dtype == np.bool_


def test_buffers_of_different_names_are_apart() -> None:
    one = scope()
    a, b = one.buffer("a", (4,)), one.buffer("b", (4,))
    a[...], b[...] = 1, 2
    np.testing.assert_array_equal(a, 1)


def test_memory_is_that_of_the_largest_shape() -> None:
    one = scope()
    for rows in (100, *range(1, 3 * VIEWS)):
        assert one.buffer("y", (rows, 7)).shape == (rows, 7)
    assert len(one._views) <= VIEWS
    assert sum(store.size for store in one._stores.values()) == 700


def test_a_buffer_that_grows_leaves_the_smaller_one_to_its_holder() -> None:
    one = scope()
    small = one.buffer("y", (2,))
    small[...] = 5
    one.buffer("y", (9,))[...] = 1
    np.testing.assert_array_equal(small, 5)
    assert one.buffer("y", (2,)).base is one.buffer("y", (9,)).base


def test_an_empty_buffer() -> None:
    assert scope().buffer("y", (0, 4)).shape == (0, 4)


def test_a_hyperparameter_of_one_network_stays_a_number() -> None:
    assert scope().number(0.5) == 0.5


@pytest.mark.parametrize(("trailing", "shape"), [(None, (2, 1, 1)), (2, (2, 1, 1)), (0, (2,))])
def test_hyperparameters_of_a_stack_meet_arrays(trailing: int | None, shape: object) -> None:
    found = scope(stack=(2,)).number(np.array([[0.1], [0.2]]), trailing)
    assert found.shape == shape
    assert found.dtype == np.float32


def test_chance_is_that_of_each_network_whether_stacked_or_alone() -> None:
    together = scope(stack=(3,), generators=generators([4, 5, 6], 2)).random((3, 2, 4))
    assert together.dtype == np.float32
    for place, seed in enumerate((4, 5, 6)):
        alone = scope(generators=generators([seed], 2)).random((2, 4))
        np.testing.assert_array_equal(together[place], alone)
    assert together.min() >= 0
    assert together.max() < 1
