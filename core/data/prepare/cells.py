"""Feature columns as cells to prepare, and prepared cells as the array that a network takes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from core.data.prepare.preparation import Cells, Feature, Shape
from core.data.prepare.standardizer import Standardizer
from core.data.table import columns
from core.data.table.tensors import shape_of
from core.errors import InvalidError


def feature(table: pa.Table, name: str) -> Feature:
    """What one cell of a column is. Raises InvalidError for a column that is not there."""
    field = columns.field(table, name)
    return Feature(name, shape_of(field), text=columns.is_text(field.type))


def read(table: pa.Table, name: str, dtype: DTypeLike) -> Cells:
    """The cells of a column: float64, text, or arrays of `dtype`; NaN or None where empty.

    Raises InvalidError naming column and row of an infinity, or of an array with a gap.
    """
    field = columns.field(table, name)
    if shape := shape_of(field):
        wide = columns.features(table, [name], dtype=dtype)
        return wide.reshape(len(wide), *shape)
    column = table.column(name)
    if columns.is_text(field.type):
        return np.array(column.to_pylist(), object)
    found = pc.cast(column, pa.float64()).to_numpy()
    numbers: Cells = np.array(found, np.float64)
    if np.isinf(numbers).any():
        row = int(np.argmax(np.isinf(numbers)))
        raise InvalidError(f"column {name!r} has an infinity in row {row + 1}")
    return numbers


def lay(
    cells: Mapping[str, Cells], names: Sequence[str], dtype: DTypeLike
) -> NDArray[np.floating[Any]]:
    """One array, a row of it a row: a single column keeps its shape, several lie side by side.

    Raises InvalidError naming a column that is still text, or an empty cell and its row.
    """
    rows = len(cells[names[0]])
    widths = [math.prod(cells[name].shape[1:]) for name in names]
    wide = np.empty((rows, sum(widths)), dtype)
    start = 0
    for name, width in zip(names, widths, strict=True):
        part = cells[name]
        if part.dtype == object:
            raise InvalidError(
                f"column {name!r} is text: encode it with one_hot, ordinal or hashing in "
                "data.prepare, or leave it out of the features"
            )
        with np.errstate(over="ignore"):
            wide[:, start : start + width] = part.reshape(rows, width)
        finite = np.isfinite(wide[:, start : start + width]).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise InvalidError(
                f"column {name!r} is empty or beyond {wide.dtype} in row {row + 1} after its "
                "preparation: impute or clip it"
            )
        start += width
    shape = cells[names[0]].shape[1:]
    return wide.reshape(rows, *shape) if len(names) == 1 and shape else wide


def unresolved(
    shapes: Mapping[str, Shape], learned: Standardizer, dtype: DTypeLike
) -> tuple[str, ...]:
    """The columns of single numbers that `dtype` may round too coarsely.

    `shapes` are those of the cells of all columns before `lay`, `learned` is of what `lay` makes of
    them.
    """
    coarse, start, names = learned.unresolved(dtype), 0, []
    for name, shape in shapes.items():
        if not shape and coarse[start]:
            names.append(name)
        start += math.prod(shape)
    return tuple(names)


def exact(blocks: Iterable[Cells], dtype: DTypeLike) -> bool:
    """Whether `dtype` holds all these numbers as they are."""
    return all(np.array_equal(one.astype(dtype), one, equal_nan=True) for one in blocks)


def finished(cells: Mapping[str, Cells], features: Sequence[Feature]) -> NDArray[np.bool_]:
    """For each number of a row of `lay`, whether a step has encoded or scaled it already."""
    return np.concatenate(
        [np.full(math.prod(cells[one.name].shape[1:]), one.done) for one in features]
    )
