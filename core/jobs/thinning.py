"""Fewer points of a curve that is told faster than MLflow can take, without changing its shape."""

from collections.abc import Sequence

import numpy as np

from core.jobs.points import Point

MOST_POINTS = 1000
"""Points of one metric that are mirrored at a time; the database has them all."""
KEPT = 4
"""Of each stretch: the first, the last, the smallest and the largest."""


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """The points, in their order; at most `most` of each metric.

    A metric with more is cut into `most / 4` equal stretches, and of each the first, the last, the
    smallest and the largest stay: so do the ends and extremes of the whole.
    """
    return [points[place] for place in places_kept(points, most)]


def places_kept(points: Sequence[Point], most: int = MOST_POINTS) -> list[int]:
    """The places of the points that `thinned` keeps, in order."""
    by_key: dict[str, list[int]] = {}
    for place, point in enumerate(points):
        by_key.setdefault(point.key, []).append(place)
    kept: list[int] = []
    for places in by_key.values():
        kept += places if len(places) <= most else _outline(points, places, most)
    return sorted(kept)


def _outline(points: Sequence[Point], places: list[int], most: int) -> set[int]:
    chosen: set[int] = set()
    for stretch in np.array_split(np.array(places), max(1, most // KEPT)):
        values = np.array([points[place].value for place in stretch])
        numbers = stretch[~np.isnan(values)]
        chosen |= {int(stretch[0]), int(stretch[-1])}
        if len(numbers):
            values = values[~np.isnan(values)]
            chosen |= {int(numbers[values.argmin()]), int(numbers[values.argmax()])}
    return chosen
