"""Columns that are likely no features as they are get a warning, others get none."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.data.ingest.canonical import write
from core.data.ingest.column_checks import check_columns
from core.data.ingest.limits import Limits
from core.data.ingest.profile import describe
from core.data.table.column_warnings import ColumnWarning

ROWS = 150


def warnings(
    path: Path, values: Any, name: str = "x", declared: tuple[str, ...] = ()
) -> list[ColumnWarning]:
    table = pa.table({name: values})
    write(iter(table.to_batches(max_chunksize=40)), path, Limits())
    return list(check_columns(path, describe(path), declared))


def cells(*words: str) -> list[str]:
    return [words[place % len(words)] for place in range(ROWS)]


@pytest.mark.parametrize(
    ("values", "name", "kind"),
    [
        (cells("1,5", "2,5", "7,25"), "x", "numbers_as_text"),
        (cells("1,234.50", "7"), "x", "numbers_as_text"),
        (cells("1", "low", "2", "high", "high"), "x", "numbers_as_text"),
        (cells("a", "?", "b"), "x", "null_marks"),
        (cells("a", "NA", "b"), "x", "null_marks"),
        ([f"person {place}" for place in range(ROWS)], "x", "identifier"),
        ([f"city {place % 120}" for place in range(ROWS)], "x", "many_categories"),
        ([f"{'long ' * 50}{place}" for place in range(ROWS)], "x", "many_categories"),
        (np.arange(ROWS)[::-1] * 3, "customer_id", "identifier"),
        (np.arange(ROWS), "PassengerId", "identifier"),
        (np.arange(ROWS), "Unnamed: 0", "identifier"),
        (cells("2026-01-31", "2026-02-01 10:30:00", "2026-02-01T10:30:00Z"), "x", "dates"),
        (cells("31.1.2026", "1/2/2026 7:15"), "x", "dates"),
        (pa.array(np.arange(ROWS), pa.timestamp("ms")), "x", "dates"),
        (pa.array(np.arange(ROWS), pa.timestamp("us", "Europe/Berlin")), "x", "dates"),
        (pa.array(np.arange(ROWS, dtype=np.int32), pa.date32()), "x", "dates"),
    ],
)
def test_a_column_that_a_job_must_name(tmp_path: Path, values: Any, name: str, kind: str) -> None:
    [warning] = warnings(tmp_path / "x.arrow", values, name)
    assert (warning.column, warning.kind, warning.named_only) == (name, kind, True)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.zeros(ROWS), "constant"),
        (cells("a"), "constant"),
        (pa.nulls(ROWS, pa.float64()), "constant"),
        (np.random.default_rng(0).permutation(ROWS) + 7, "identifier"),
    ],
)
def test_a_column_that_is_only_reported(tmp_path: Path, values: Any, kind: str) -> None:
    [warning] = warnings(tmp_path / "x.arrow", values)
    assert (warning.kind, warning.named_only) == (kind, False)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (cells("a", "b", "c"), "x"),
        (cells("a", "b", "c")[:3], "id"),
        (np.arange(ROWS) % 7, "group_id"),
        (np.arange(3000) % 2000, "station_id"),
        (cells("2026-01-31", "soon", "later"), "x"),
        (cells("10.0.0.1", "10.0.0.2"), "x"),
        (np.arange(ROWS) * 2, "paid"),
        (np.arange(ROWS) * 0.5, "id"),
        (np.arange(10), "id"),
        ([f"word {place}" for place in range(10)], "x"),
        (cells("-1", "1") + ["x"] * 2000, "x"),
    ],
)
def test_a_usual_column(tmp_path: Path, values: Any, name: str) -> None:
    assert warnings(tmp_path / "x.arrow", values, name) == []


def test_examples_name_rows_and_values(tmp_path: Path) -> None:
    values = ["a"] * 60 + ["1,5", "b", "?", "2,5"] * 15
    numbers, marks = warnings(tmp_path / "x.arrow", values)
    assert [(e.row, e.value) for e in numbers.examples] == [
        (61, "1,5"),
        (64, "2,5"),
        (65, "1,5"),
        (1, "a"),
        (2, "a"),
        (3, "a"),
    ]
    assert "30 of 120 cells are numbers in another notation, such as '1,5'" in numbers.message
    assert [(e.row, e.value) for e in marks.examples] == [(63, "?"), (67, "?"), (71, "?")]
    assert "holds '?' in 15 cells" in marks.message
    assert "nulls=?" in marks.message


@pytest.mark.parametrize(
    ("values", "forms"),
    [
        (cells("2026-01-31"), "iso"),
        (cells("31.1.2026", "1.1.2026"), "day_first"),
        (cells("1/31/2026", "1/1/2026"), "month_first"),
        (cells("1/2/2026", "2/3/2026"), "day_first or month_first"),
    ],
)
def test_a_warning_about_dates_names_their_format(
    tmp_path: Path, values: list[str], forms: str
) -> None:
    values = [*values, values[0].replace("31", "30")]
    [warning] = warnings(tmp_path / "x.arrow", values)
    assert f"(format {forms})" in warning.message


def test_declared_text_may_hold_numbers(tmp_path: Path) -> None:
    assert warnings(tmp_path / "x.arrow", cells("01", "02", "?"), declared=("x",)) == []


def test_many_rows_are_recognised_without_their_distinct_values(tmp_path: Path) -> None:
    values = np.random.default_rng(0).permutation(5000)
    assert [w.kind for w in warnings(tmp_path / "x.arrow", values)] == ["identifier"]
    values[0] = values[1]
    assert warnings(tmp_path / "x.arrow", values) == []
