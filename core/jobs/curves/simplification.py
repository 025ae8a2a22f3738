"""Reduce the points of a curve and keep its shape."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from core.jobs.points import Point

MOST_POINTS = 1000
"""Points of one metric that are kept: per second for MLflow, per job for old jobs."""
KEPT = 4
"""Points of each segment that are kept: first, last, smallest and largest."""


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """The points in their order, at most `most` of each metric for each second of `at_ms`.

    The result depends on the points alone, not on when it is computed.
    """
    kept = kept_indices(points, lambda point: (point.key, point.at_ms // 1000), most)
    return [points[index] for index in kept]


def kept_indices(
    points: Sequence[Point], group: Callable[[Point], Hashable], most: int = MOST_POINTS
) -> list[int]:
    """The indices of the points that stay, at most `most` of each group.

    A larger group is split into `most / 4` equal segments, and the first, last, smallest and
    largest point of each stay: so do the ends and extremes of the whole.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, point in enumerate(points):
        groups.setdefault(group(point), []).append(index)
    kept: list[int] = []
    for indices in groups.values():
        kept += indices if len(indices) <= most else _outline(points, indices, most)
    return sorted(kept)


def _outline(points: Sequence[Point], indices: list[int], most: int) -> set[int]:
    chosen: set[int] = set()
    for segment in np.array_split(np.array(indices), max(1, most // KEPT)):
        values = np.array([points[index].value for index in segment])
        chosen |= {int(segment[0]), int(segment[-1])}
        if not np.isnan(values).all():
            chosen |= {int(segment[np.nanargmin(values)]), int(segment[np.nanargmax(values)])}
    return chosen
