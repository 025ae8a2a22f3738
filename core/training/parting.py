"""Which rows train, validate and test, as a job's `data.split` says."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data import columns
from core.data.folds import fold_numbers, group_fold_numbers
from core.data.selecting import group_codes
from core.data.splits import split, split_groups
from core.data.tensors import shape_of
from core.errors import InvalidError
from core.nn.array import Array
from core.spec.data import DataSpec, FoldSpec


def parts_of(data: DataSpec, table: pa.Table, labels: Array | None) -> dict[str, NDArray[np.int64]]:
    """The row numbers of each part, ascending; with `labels` classes are spread evenly.

    Raises InvalidError when a part that is wanted would be empty.
    """
    wanted = data.split
    groups = None
    if wanted.group_by is not None:
        _refuse_arrays(table, wanted.group_by)
        groups = group_codes(table.column(wanted.group_by))
    if wanted.column is not None:
        parts = _by_column(wanted.dealt, table, wanted.column)
    elif groups is not None:
        parts = split_groups(groups, wanted.dealt, data.split_seed)
    else:
        parts = split(table.num_rows, wanted.dealt, data.split_seed, labels=labels)
    return parts if wanted.fold is None else _folded(wanted.fold, data, parts, labels, groups)


def _folded(
    fold: FoldSpec,
    data: DataSpec,
    parts: dict[str, NDArray[np.int64]],
    labels: Array | None,
    groups: NDArray[np.int64] | None,
) -> dict[str, NDArray[np.int64]]:
    """The parts of one fold: what does not test is dealt anew."""
    rows = np.sort(np.concatenate([parts["train"], parts["valid"]]))
    if groups is not None:
        numbers = group_fold_numbers(groups[rows], fold.of, data.split_seed)
    else:
        mine = None if labels is None else labels[rows]
        numbers = fold_numbers(len(rows), fold.of, data.split_seed, mine)
    validates = numbers == fold.number
    return {"train": rows[~validates], "valid": rows[validates], "test": parts["test"]}


def _by_column(
    shares: dict[str, float], table: pa.Table, name: str
) -> dict[str, NDArray[np.int64]]:
    _refuse_arrays(table, name)
    values = np.array(table.column(name).to_pylist(), object)
    parts = {}
    for part, share in shares.items():
        rows = np.flatnonzero(values == part) if share else np.empty(0, np.int64)
        if share and not len(rows):
            raise InvalidError(f"data.split.column: no row has {part!r} in column {name!r}")
        parts[part] = rows.astype(np.int64)
    return parts


def _refuse_arrays(table: pa.Table, name: str) -> None:
    if shape := shape_of(columns.field(table, name)):
        raise InvalidError(f"column {name!r} holds arrays of shape {shape}: it cannot split")
