"""Rows in the order of a column of numbers or dates."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.data.table.order import ascending
from core.errors import InvalidError


def order_of(values: list[Any]) -> list[int]:
    order: list[int] = ascending(pa.chunked_array([pa.array(values)]), "t").tolist()
    return order


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1, 2], [1, 2, 0]),
        ([0.5, -1.0, 0.5, -1.0], [1, 3, 0, 2]),
        ([True, False], [1, 0]),
        (["2026-01-02", "2025-12-31", "2026-01-01 06:00"], [1, 2, 0]),
        # The same day, an hour apart although it is written the other way round.
        (["2026-01-01T10:00:00+02:00", "2026-01-01T09:00:00Z"], [0, 1]),
        (["1.2.2026", "31.1.2026"], [1, 0]),
        (["2/1/2026", "1/31/2026"], [1, 0]),
    ],
)
def test_rows_are_put_in_order(values: list[Any], expected: list[int]) -> None:
    assert order_of(values) == expected


def test_many_dates_are_in_the_order_that_pandas_finds() -> None:
    rng = np.random.default_rng(0)
    moments = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**8, 300), unit="s")
    texts = [str(moment) for moment in moments]
    assert order_of(texts) == np.argsort(moments.to_numpy(), kind="stable").tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, None], "row 1 of column 't' is empty"),
        ([np.nan, 1.0], "row 0 of column 't' is empty"),
        (["2026-01-01", None], "row 1 of column 't' is empty"),
        (["2026-01-01", "soon"], "row 1 of column 't' has no date: 'soon'"),
        (["1/2/2026", "3/1/2026"], "day or the month first"),
    ],
)
def test_what_has_no_order_is_named(values: list[Any], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        order_of(values)
