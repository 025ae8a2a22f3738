"""Which rows train and which only test: seeded, stratified, equal on every machine."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.data.split.permutation import permutation
from core.errors import InvalidError


def split(
    rows: int, fractions: Mapping[str, float], seed: int, labels: ArrayLike | None = None
) -> dict[str, NDArray[np.int64]]:
    """Deal `rows` row numbers to the named parts; each part comes back in ascending order.

    The parts are disjoint and as large as their fractions say, to the row; fractions that sum to
    less than 1 leave rows out. With `labels` (one of each row) every part gets its share of every
    class, to about a row. Raises InvalidError when the fractions make no sense, or a part with a
    fraction above 0 would be empty.
    """
    counts = _counts(rows, fractions)
    shuffled = permutation(rows, seed, "split")
    if labels is not None:
        values = np.asarray(labels)
        if values.shape != (rows,):
            raise InvalidError(f"{rows} rows have labels of shape {values.shape}")
        shuffled = _evened(shuffled, values)
    parts: dict[str, NDArray[np.int64]] = {}
    start = 0
    for name, count in counts.items():
        parts[name] = np.sort(shuffled[start : start + count])
        start += count
    return parts


def split_groups(
    groups: NDArray[np.int64], fractions: Mapping[str, float], seed: int
) -> dict[str, NDArray[np.int64]]:
    """Deal whole groups of rows (the number of each row's group) to the named parts.

    The groups come in a random order; each goes to the part in whose share the middle of its rows
    falls. A part that would be empty gets, from where there are more, the group nearest to its
    share. Raises InvalidError as `split` does, and for fewer groups than parts.
    """
    counts = _counts(len(groups), fractions)
    count = int(groups.max()) + 1 if len(groups) else 0
    order = permutation(count, seed, "split")
    parts = [name for name, wanted in counts.items() if wanted]
    if count < len(parts):
        raise InvalidError(f"{count} groups are too few for the parts {', '.join(parts)}")
    sizes = np.bincount(groups, minlength=count)[order]
    middles = (np.cumsum(sizes) - sizes / 2) / max(1, len(groups))
    ends = np.cumsum(list(fractions.values()))
    dealt = np.searchsorted(ends, middles, side="right")
    for number, wanted in enumerate(counts.values()):
        if wanted and not (dealt == number).any():
            spare = (np.bincount(dealt)[dealt] > 1) | (dealt == len(counts))
            others = np.flatnonzero(spare)
            dealt[others[np.argmin(np.abs(sizes[others] - wanted))]] = number
    place = np.empty(count, np.int64)
    place[order] = dealt
    return {name: np.flatnonzero(place[groups] == number) for number, name in enumerate(counts)}


def _counts(rows: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Rows of each part by largest remainder; no wanted part is left empty."""
    for name, fraction in fractions.items():
        if not (math.isfinite(fraction) and 0 <= fraction <= 1):
            raise InvalidError(f"the {name} part must be between 0 and 1, not {fraction}")
    total = math.fsum(fractions.values())
    if not 0 < total <= 1 + 1e-9:
        raise InvalidError(f"the parts must sum to more than 0 and at most 1, not {total:g}")
    wanted = [name for name, fraction in fractions.items() if fraction > 0]
    dealt = round(rows * min(total, 1.0))
    if dealt < len(wanted):
        raise InvalidError(f"{rows} rows are too few for the parts {', '.join(wanted)}")
    exact = {name: fractions[name] / total * dealt for name in fractions}
    counts = {name: math.floor(share) for name, share in exact.items()}
    by_remainder = sorted(wanted, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: dealt - sum(counts.values())]:
        counts[name] += 1
    for name in wanted:
        if counts[name] == 0:
            counts[max(counts, key=lambda other: counts[other])] -= 1
            counts[name] = 1
    return counts


def _evened(shuffled: NDArray[np.int64], labels: NDArray[np.generic]) -> NDArray[np.int64]:
    """The shuffled rows in an order whose every stretch holds each class in its proportion.

    A row's place is how far through its own class it comes, so a class spreads evenly over the
    whole; ties fall as the shuffle has them.
    """
    _, codes, sizes = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(codes, kind="stable")
    first = np.cumsum(sizes) - sizes
    rank = np.empty(len(codes), dtype=np.float64)
    rank[by_class] = np.arange(len(codes)) - first[codes[by_class]]
    place = (rank + 0.5) / sizes[codes]
    return shuffled[np.argsort(place, kind="stable")]
