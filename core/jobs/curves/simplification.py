"""Fewer points of a curve, without changing its shape."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from core.jobs.points import Point

MOST_POINTS = 1000
"""Points of one metric that are kept: of a second for MLflow, of a whole job for the archive."""
KEPT = 4
"""Of each stretch: the first, the last, the smallest and the largest."""


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """The points, in their order; at most `most` of each metric for each second of telling.

    It follows from the points alone: how late somebody asks for them changes nothing.
    """
    kept = places_kept(points, lambda point: (point.key, point.at_ms // 1000), most)
    return [points[place] for place in kept]


def places_kept(
    points: Sequence[Point], group: Callable[[Point], Hashable], most: int = MOST_POINTS
) -> list[int]:
    """Which points stay, by their places: at most `most` of each group.

    A group with more is cut into `most / 4` equal stretches, and of each the first, the last, the
    smallest and the largest stay: so do the ends and extremes of the whole.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, point in enumerate(points):
        groups.setdefault(group(point), []).append(place)
    kept: list[int] = []
    for places in groups.values():
        kept += places if len(places) <= most else _outline(points, places, most)
    return sorted(kept)


def _outline(points: Sequence[Point], places: list[int], most: int) -> set[int]:
    chosen: set[int] = set()
    for stretch in np.array_split(np.array(places), max(1, most // KEPT)):
        values = np.array([points[place].value for place in stretch])
        chosen |= {int(stretch[0]), int(stretch[-1])}
        if not np.isnan(values).all():
            chosen |= {int(stretch[np.nanargmin(values)]), int(stretch[np.nanargmax(values)])}
    return chosen
