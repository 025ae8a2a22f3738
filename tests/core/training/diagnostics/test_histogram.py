"""Histograms of numbers of any size, compared with NumPy where it can count them."""

import json

import numpy as np
import pytest

from core.training.diagnostics.histogram import BINS, histogram

LARGEST, SMALLEST = np.finfo(np.float64).max, np.nextafter(0.0, 1.0)


def test_as_numpy_counts() -> None:
    numbers = np.random.default_rng(0).normal(3, 2, 10_000)
    found = histogram(numbers)
    counts, _ = np.histogram(numbers, bins=BINS)
    assert found is not None
    assert found["counts"] == counts.tolist()
    assert (found["low"], found["high"]) == (numbers.min(), numbers.max())
    assert found["mean"] == pytest.approx(numbers.mean())
    assert found["deviation"] == pytest.approx(numbers.std())


@pytest.mark.parametrize(
    "numbers",
    [
        [1.0, np.nextafter(1.0, 2.0)],
        [-LARGEST, LARGEST],
        [LARGEST, LARGEST],
        [0.0, SMALLEST],
        [LARGEST, np.nextafter(LARGEST, 0.0)],
        [-1e-300, 1e300],
    ],
)
def test_the_closest_and_the_farthest_numbers_are_separated(numbers: list[float]) -> None:
    found = histogram(np.array(numbers))
    assert found is not None
    json.dumps(found, allow_nan=False)
    ends = [0] * BINS
    if min(numbers) < max(numbers):
        ends[0] = ends[-1] = 1
    else:
        ends[BINS // 2] = 2
    assert found["counts"] == ends


@pytest.mark.parametrize("number", [1e15, -1e300, 0.0, SMALLEST, 3.0])
def test_a_single_number_is_in_the_middle(number: float) -> None:
    found = histogram(np.array([number]))
    assert found is not None
    assert found["counts"][BINS // 2] == 1
    assert (found["low"], found["high"], found["deviation"]) == (number, number, 0)
    assert found["mean"] == pytest.approx(number)


def test_only_finite_numbers_count() -> None:
    found = histogram(np.array([np.nan, np.inf, 2.0, 0.0]))
    assert found is not None
    assert (sum(found["counts"]), found["high"], found["zero"]) == (2, 2.0, 0.5)
    assert histogram(np.array([np.nan])) is None
