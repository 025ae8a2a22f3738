"""The array seam on a machine without a GPU."""

from typing import Any

import numpy as np
import pytest

from core.nn.array import generators, namespace, to_host


def test_cpu_is_numpy() -> None:
    assert namespace("cpu") is np


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises((ImportError, RuntimeError)):
        namespace("gpu")


def test_a_host_array_is_its_own_copy_on_the_host() -> None:
    array = np.arange(3)
    assert to_host(array) is array
    numbers: Any = [1, 2]
    np.testing.assert_array_equal(to_host(numbers), [1, 2])


def test_generators_depend_on_seed_and_purpose_alone() -> None:
    first, second = generators([1, 2], 1)
    other = generators([1], 2)[0]
    again = generators([2], 1)[0]
    drawn = second.random(5)
    np.testing.assert_array_equal(drawn, again.random(5))
    assert (first.random(5) != drawn).any()
    assert (generators([1], 1)[0].random(5) != other.random(5)).any()
