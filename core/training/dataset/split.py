"""Which rows train, validate and test, as a job's `data.split` says."""

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from core.data.split.assignment import Split, group_codes
from core.data.split.assignment import parts_of as dealt
from core.data.split.folds import fold_numbers, group_fold_numbers
from core.data.table import columns
from core.data.table.tensors import shape_of
from core.errors import InvalidError
from core.nn.array import Array
from core.spec.data import DataSpec


def parts_of(data: DataSpec, table: pa.Table, labels: Array | None) -> dict[str, NDArray[np.int64]]:
    """The row numbers of each part, ascending; with `labels` classes are spread evenly.

    Raises InvalidError when a part that is wanted would be empty.
    """
    wanted = data.split
    for name in (wanted.column, wanted.group_by, wanted.stratify_by):
        if name is not None:
            _refuse_arrays(table, name)
    split = Split(wanted.dealt, wanted.column, wanted.group_by, wanted.stratify_by, data.split_seed)
    parts = dealt(split, table.num_rows, table.column, labels)
    return parts if wanted.fold is None else _folded(data, table, parts, labels)


def _folded(
    data: DataSpec,
    table: pa.Table,
    parts: dict[str, NDArray[np.int64]],
    labels: ArrayLike | None,
) -> dict[str, NDArray[np.int64]]:
    """The parts of one fold: what does not test is dealt anew."""
    wanted, fold = data.split, data.split.fold
    assert fold is not None
    rows = np.sort(np.concatenate([parts["train"], parts["valid"]]))
    if wanted.group_by is not None:
        groups = group_codes(table.column(wanted.group_by))
        numbers = group_fold_numbers(groups[rows], fold.of, data.split_seed)
    else:
        if wanted.stratify_by is not None:
            labels = group_codes(table.column(wanted.stratify_by))
        mine = None if labels is None else np.asarray(labels)[rows]
        numbers = fold_numbers(len(rows), fold.of, data.split_seed, mine)
    validates = numbers == fold.number
    return {"train": rows[~validates], "valid": rows[validates], "test": parts["test"]}


def _refuse_arrays(table: pa.Table, name: str) -> None:
    if shape := shape_of(columns.field(table, name)):
        raise InvalidError(f"column {name!r} holds arrays of shape {shape}: it cannot split")
