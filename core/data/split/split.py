"""Which rows train, validate and test: seeded, stratified, by groups or columns, in folds.

The result depends on the arguments alone, so it is the same on every machine.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from core.data.split.folds import Fold, fold_numbers, group_fold_numbers, ordered_fold
from core.data.split.permutation import permutation
from core.errors import InvalidError

PARTS = ("train", "valid", "test")

Rows = NDArray[np.int64]
ReadColumn = Callable[[str], pa.ChunkedArray]


@dataclass(frozen=True)
class Split:
    """How rows are split: the share of each part by name, and the seed of the random order.

    At most one of three columns decides further. `column` holds the part of each row; shares then
    say which parts must exist, and without shares every part may. Rows with equal values of
    `group_by` stay together. Each part gets its share of every value of `stratify_by`. With `fold`
    the rows that do not test are split again: one fold validates, the others train.
    """

    shares: Mapping[str, float]
    column: str | None = None
    group_by: str | None = None
    stratify_by: str | None = None
    seed: int = 0
    fold: Fold | None = None


def assign(
    how: Split,
    rows: int,
    read: ReadColumn,
    labels: ArrayLike | None = None,
    order: Rows | None = None,
) -> dict[str, Rows]:
    """The row numbers of each part, ascending, for `rows` rows whose columns `read` returns.

    Rows are stratified by `labels`, one of each row, unless the split names a column. With `order`,
    all row numbers in an order, the parts follow each other in it. Raises InvalidError when a
    requested part would be empty.
    """
    if how.stratify_by is not None:
        labels = group_codes(read(how.stratify_by))
    groups = None if how.group_by is None else group_codes(read(how.group_by))
    if order is not None:
        return split_ordered(order, how.shares, how.fold)
    if how.column is not None:
        parts = _by_column(how.shares, read(how.column), how.column)
    elif groups is not None:
        parts = split_groups(groups, how.shares, how.seed)
    else:
        parts = split(rows, how.shares, how.seed, labels=labels)
    if how.fold is None:
        return parts
    rest = np.sort(np.concatenate([parts["train"], parts["valid"]]))
    if groups is not None:
        numbers = group_fold_numbers(groups[rest], how.fold.count, how.seed)
    else:
        own = None if labels is None else np.asarray(labels)[rest]
        numbers = fold_numbers(len(rest), how.fold.count, how.seed, own)
    validates = numbers == how.fold.number
    return {"train": rest[~validates], "valid": rest[validates], "test": parts["test"]}


def split(
    rows: int, fractions: Mapping[str, float], seed: int, labels: ArrayLike | None = None
) -> dict[str, Rows]:
    """Distribute `rows` row numbers over the named parts; each part is in ascending order.

    The parts are disjoint and as large as their fractions say, to the row. Fractions that sum to
    less than 1 leave rows out. With `labels`, one of each row, every part gets its share of every
    class, to about a row. Raises InvalidError for fractions outside 0 to 1 or with a sum above 1,
    and when a part with a fraction above 0 would be empty.
    """
    counts = _counts(rows, fractions)
    shuffled = permutation(rows, seed, "split")
    if labels is not None:
        values = np.asarray(labels)
        if values.shape != (rows,):
            raise InvalidError(f"{rows} rows have labels of shape {values.shape}")
        shuffled = _stratified(shuffled, values)
    parts: dict[str, Rows] = {}
    start = 0
    for name, count in counts.items():
        parts[name] = np.sort(shuffled[start : start + count])
        start += count
    return parts


def split_groups(groups: Rows, fractions: Mapping[str, float], seed: int) -> dict[str, Rows]:
    """Distribute whole groups over the named parts; `groups` has the group number of each row.

    The groups are put in a random order. Each goes to the part whose share contains the middle of
    its rows. A part that would be empty takes the group nearest to its share from a part with
    several. Raises InvalidError as `split` does, and for fewer groups than parts.
    """
    counts = _counts(len(groups), fractions)
    count = int(groups.max()) + 1 if len(groups) else 0
    order = permutation(count, seed, "split")
    parts = [name for name, rows in counts.items() if rows]
    if count < len(parts):
        raise InvalidError(f"{count} groups are too few for the parts {', '.join(parts)}")
    sizes = np.bincount(groups, minlength=count)[order]
    middles = (np.cumsum(sizes) - sizes / 2) / max(1, len(groups))
    ends = np.cumsum(list(fractions.values()))
    assigned = np.searchsorted(ends, middles, side="right")
    for number, rows in enumerate(counts.values()):
        if rows and not (assigned == number).any():
            spare = (np.bincount(assigned)[assigned] > 1) | (assigned == len(counts))
            others = np.flatnonzero(spare)
            assigned[others[np.argmin(np.abs(sizes[others] - rows))]] = number
    part = np.empty(count, np.int64)
    part[order] = assigned
    return {name: np.flatnonzero(part[groups] == number) for number, name in enumerate(counts)}


def split_ordered(
    order: Rows, fractions: Mapping[str, float], fold: Fold | None = None
) -> dict[str, Rows]:
    """Distribute row numbers, given in an order, over parts that follow each other in it.

    A fold validates on a block that follows the rows that train. Raises InvalidError as `split`
    does, and for fewer rows than folds need.
    """
    counts = _counts(len(order), fractions)
    ends = np.cumsum(list(counts.values()))
    blocks = np.split(order[: ends[-1]], ends[:-1])
    parts = dict(zip(counts, blocks, strict=True))
    if fold is not None:
        rest = np.concatenate([parts["train"], parts["valid"]])
        parts["train"], parts["valid"] = ordered_fold(rest, fold)
    return {name: np.sort(rows) for name, rows in parts.items()}


def group_codes(column: pa.ChunkedArray) -> Rows:
    """For each row the number of its group, groups in the order of their first rows.

    Empty cells form one group.
    """
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def _by_column(shares: Mapping[str, float], column: pa.ChunkedArray, name: str) -> dict[str, Rows]:
    values = np.array(column.to_pylist(), object)
    parts = {}
    for part in PARTS:
        rows = np.flatnonzero(values == part) if shares.get(part, 1) else np.empty(0, np.int64)
        if shares.get(part) and not len(rows):
            raise InvalidError(f"no row has {part!r} in column {name!r}")
        parts[part] = rows.astype(np.int64)
    return parts


def _counts(rows: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Rows of each part by largest remainder; a part with a fraction above 0 gets at least one."""
    for name, fraction in fractions.items():
        if not (math.isfinite(fraction) and 0 <= fraction <= 1):
            raise InvalidError(f"the {name} part must be between 0 and 1, not {fraction}")
    total = math.fsum(fractions.values())
    if not 0 < total <= 1 + 1e-9:
        raise InvalidError(f"the parts must sum to more than 0 and at most 1, not {total:g}")
    requested = [name for name, fraction in fractions.items() if fraction > 0]
    assigned = round(rows * min(total, 1.0))
    if assigned < len(requested):
        raise InvalidError(f"{rows} rows are too few for the parts {', '.join(requested)}")
    exact = {name: fractions[name] / total * assigned for name in fractions}
    counts = {name: math.floor(share) for name, share in exact.items()}
    by_remainder = sorted(requested, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: assigned - sum(counts.values())]:
        counts[name] += 1
    for name in requested:
        if counts[name] == 0:
            counts[max(counts, key=lambda other: counts[other])] -= 1
            counts[name] = 1
    return counts


def _stratified(shuffled: Rows, labels: NDArray[np.generic]) -> Rows:
    """The shuffled rows in an order in which every range holds each class in its proportion.

    A row is placed by its relative position within its own class. Ties keep the shuffled order.
    """
    _, codes, sizes = np.unique(labels[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(codes, kind="stable")
    first = np.cumsum(sizes) - sizes
    rank = np.empty(len(codes), dtype=np.float64)
    rank[by_class] = np.arange(len(codes)) - first[codes[by_class]]
    position = (rank + 0.5) / sizes[codes]
    return shuffled[np.argsort(position, kind="stable")]
