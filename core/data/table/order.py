"""The order of rows by a column of numbers or dates."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.table import columns
from core.data.table.dates import PATTERNS, DateFormat, read_date
from core.errors import InvalidError


def ascending(column: pa.ChunkedArray, name: str) -> NDArray[np.int64]:
    """Row numbers in ascending order of a column; rows with equal values keep their order.

    Text is read as dates, all in the same format. Raises InvalidError naming the row for an empty
    cell, a NaN and text that is no date, and for dates whose day and month could be exchanged.
    """
    _check_present(column.is_null(nan_is_null=True), name)
    text = columns.is_text(column.type)
    values = _moments(column.to_pylist(), name) if text else column.to_numpy()
    return np.argsort(values, kind="stable").astype(np.int64, copy=False)


def _moments(texts: Sequence[str], name: str) -> NDArray[np.float64]:
    """Seconds since 1970 of dates in text."""
    read = {form: _read(texts, form) for form in PATTERNS}
    complete = [moments for moments in read.values() if len(moments) == len(texts)]
    if not complete:
        # Name the first cell that the format which reads most of the rows does not read.
        row = max(map(len, read.values()))
        raise InvalidError(f"row {row} of column {name!r} has no date: {texts[row]!r:.60}")
    if any(moments != complete[0] for moments in complete[1:]):
        raise InvalidError(
            f"the dates of column {name!r} can be read with the day or the month first: store them "
            "as 2026-01-31"
        )
    return np.array(complete[0], np.float64)


def _read(texts: Sequence[str], form: DateFormat) -> list[float]:
    """Seconds since 1970 of the dates up to the first text that is none."""
    moments = []
    for text in texts:
        moment = read_date(text, form)
        if moment is None:
            break
        moments.append(moment.timestamp())
    return moments


def _check_present(absent: pa.ChunkedArray, name: str) -> None:
    row = absent.index(True).as_py()
    if row >= 0:
        raise InvalidError(f"row {row} of column {name!r} is empty: rows have no order by it")
