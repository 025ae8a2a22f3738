"""Select the rows of a table by a query: the same rows in the same order on every machine."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.data.split.permutation import words
from core.data.split.split import assign, group_codes
from core.data.table import columns
from core.data.table.query import Both, Compare, Condition, Not, Present, Query, invalid
from core.data.table.schema import DatasetSchema, listed
from core.data.table.tensors import shape_of, tensor_field
from core.errors import InvalidError

_SIGNS = {
    "=": pc.equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


_TYPES = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}


def check(query: Query, schema: DatasetSchema) -> None:
    """Raise InvalidError naming a missing column, or a value that it cannot be compared to."""
    fields = []
    for column in schema.columns:
        kind = _TYPES.get(column.dtype) or pa.type_for_alias(column.dtype)
        fields.append(tensor_field(column.name, kind, column.shape))
    _matching(query, pa.schema(fields).empty_table())


def select(query: Query, table: pa.Table) -> NDArray[np.int64]:
    """The row numbers that `query` selects, ascending.

    `@sample` selects that share of the matching rows, or with `@group_by` of the groups. `@limit`
    selects the first of them, `@split` the rows of all parts, `@part` the rows of one part. Raises
    InvalidError as `check` does, and for parts that would be empty.
    """
    return select_parts(query, table)[0]


def select_parts(
    query: Query, table: pa.Table
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """The rows that `select` returns, and those of each part of `@split`, or of the selected part.

    Without `@split` there are no parts. Raises InvalidError as `select` does.
    """
    rows = _matching(query, table)
    if query.split is None:
        return rows, {}
    chosen = pa.array(rows)
    try:
        every = assign(query.split, len(rows), lambda name: table.column(name).take(chosen))
    except InvalidError as error:
        raise invalid(f"@split: {error.detail}") from error
    parts = {
        name: rows[part_rows] for name, part_rows in every.items() if query.part in (None, name)
    }
    return np.sort(np.concatenate(list(parts.values()))), parts


def _matching(query: Query, table: pa.Table) -> NDArray[np.int64]:
    """The matching rows before they are split."""
    rows = np.arange(table.num_rows)
    for name in query.columns:
        _scalar(table, name)
    if query.condition is not None:
        met = pc.fill_null(_met(query.condition, table), False)
        mask = np.asarray(met.to_numpy(zero_copy_only=False) if len(met) else [], bool)
        rows = np.flatnonzero(mask)
    if query.sample is not None:
        rows = _sampled(rows, query, table)
    return rows[: query.limit].astype(np.int64)


def _sampled(rows: NDArray[np.int64], query: Query, table: pa.Table) -> NDArray[np.int64]:
    share = query.sample or 1.0
    if query.group_by is None:
        groups = np.arange(len(rows))
    else:
        groups = group_codes(table.column(query.group_by).take(pa.array(rows)))
    count = int(groups.max()) + 1 if len(groups) else 0
    order = np.argsort(words(count, query.seed, "sample"), kind="stable")
    sampled = np.zeros(count, bool)
    sampled[order[: round(count * share)]] = True
    return rows[sampled[groups]] if count else rows


def _met(condition: Condition, table: pa.Table) -> pa.ChunkedArray:
    """Whether each row meets the condition, never null."""
    if isinstance(condition, Compare):
        column = table.column(condition.column)
        value = _value(condition, column.type)
        return pc.fill_null(_SIGNS[condition.sign](column, value), False)
    if isinstance(condition, Present):
        return pc.is_valid(table.column(condition.column))
    if isinstance(condition, Not):
        return pc.invert(_met(condition.part, table))
    together = pc.and_ if isinstance(condition, Both) else pc.or_
    met = _met(condition.parts[0], table)
    for part in condition.parts[1:]:
        met = together(met, _met(part, table))
    return met


def _value(condition: Compare, kind: pa.DataType) -> pa.Scalar:
    """The value as the column's type compares it. Raises InvalidError."""
    text = condition.value
    try:
        if columns.is_text(kind):
            return pa.scalar(text)
        if pa.types.is_boolean(kind):
            return pa.scalar(_BOOLEANS[text.lower()])
        if pa.types.is_integer(kind) and text.lstrip("-").isdigit():
            return pa.scalar(int(text))
        return pa.scalar(float(text))
    except (KeyError, ValueError, OverflowError, pa.ArrowException):
        raise invalid(
            f"column {condition.column!r} holds {kind}, which {text!r:.60} cannot be compared to"
        ) from None


def _scalar(table: pa.Table, name: str) -> None:
    if table.schema.get_field_index(name) < 0:
        known = listed(tuple(table.column_names))
        raise invalid(f"there is no column {name!r}; the columns are {known}")
    if shape := shape_of(table.schema.field(name)):
        raise invalid(f"column {name!r} holds arrays of shape {shape}: they cannot be queried")
