"""A curve with too many points a second keeps its shape."""

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.jobs.curves.simplification import kept_indices, thinned
from core.jobs.points import Point


def curve(values: Iterable[float], key: str = "train/loss", a_second: int = 10**6) -> list[Point]:
    """Values at this rate a second."""
    return [
        Point(key, step, 0, 1000 * step // a_second, value) for step, value in enumerate(values)
    ]


def test_few_points_all_stay() -> None:
    points = curve(range(1000)) + curve(range(1000), key="valid/loss")
    assert thinned(points) == points


def test_all_points_that_come_slowly_stay_however_many_wait() -> None:
    """As after an outage of hours."""
    points = curve(range(50_000), a_second=900)
    assert thinned(points) == points


def test_one_fast_metric_does_not_thin_another() -> None:
    slow = curve(range(5), key="valid/loss")
    fast = curve(math.sin(step) for step in range(20_000))
    found = thinned([*fast[:100], *slow, *fast[100:]])
    assert [point for point in found if point.key == "valid/loss"] == slow
    assert 250 <= len(found) - len(slow) <= 1000


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=300),
    st.integers(4, 40),
)
def test_ends_and_extremes_stay_in_order(values: list[float], most: int) -> None:
    points = curve(values)
    steps = kept_indices(points, lambda point: point.key, most)
    assert steps[0] == 0
    assert steps[-1] == len(values) - 1
    numbers = [value for value in values if not math.isnan(value)]
    if numbers:
        kept = [values[step] for step in steps if not math.isnan(values[step])]
        assert min(kept) == min(numbers)
        assert max(kept) == max(numbers)
    assert steps == sorted(set(steps))
    assert len(steps) <= max(most, 4)


def test_a_peak_of_one_point_is_not_lost() -> None:
    values = [random.Random(1).random() for _ in range(50_000)]
    values[31_415] = 1e9
    assert 31_415 in {point.step for point in thinned(curve(values))}


@pytest.mark.parametrize("count", [1001, 12_345])
def test_what_is_sent_is_bounded(count: int) -> None:
    assert len(thinned(curve(range(count)))) <= 1000
