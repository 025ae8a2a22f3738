"""Which rows train, validate and test: by shares, whole groups, or what a column says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from core.data.split.split import split, split_groups
from core.errors import InvalidError

PARTS = ("train", "valid", "test")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Shares of the parts by name, dealt by `seed`; at most one column says how.

    `column` has the part of each row: `shares` then say which parts there must be, none: those that
    are there. Rows with the same value of `group_by` stay together; each part gets its share of
    every value of `stratify_by`.
    """

    shares: Mapping[str, float]
    column: str | None = None
    group_by: str | None = None
    stratify_by: str | None = None
    seed: int = 0


def parts_of(
    wanted: Split,
    rows: int,
    read: Callable[[str], pa.ChunkedArray],
    labels: ArrayLike | None = None,
) -> dict[str, Rows]:
    """The numbers of the rows of each part, ascending, of `rows` rows whose columns `read` gives.

    `labels` are spread evenly unless the split says what else to go by. Raises InvalidError when a
    part that is wanted would be empty.
    """
    if wanted.column is not None:
        return _by_column(wanted.shares, read(wanted.column), wanted.column)
    if wanted.group_by is not None:
        return split_groups(group_codes(read(wanted.group_by)), wanted.shares, wanted.seed)
    if wanted.stratify_by is not None:
        labels = group_codes(read(wanted.stratify_by))
    return split(rows, wanted.shares, wanted.seed, labels=labels)


def group_codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """For each row the number of its group, groups in the order of their first rows.

    Empty cells are a group of their own.
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
