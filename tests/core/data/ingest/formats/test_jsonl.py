"""JSON lines: types are found over all lines, and what is wrong is said with its row."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.data.ingest.formats import jsonl
from core.data.ingest.limits import Limits
from core.data.ingest.sandbox import parse
from core.data.prepare.features import numeric_array
from core.data.table.reader import load
from core.errors import InvalidError


@pytest.fixture(params=["one block", "many blocks"])
def table(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pa.Table]:
    """Parses lines; cut into many blocks, the answers must be the same."""
    if request.param == "many blocks":
        monkeypatch.setattr(jsonl, "BLOCK_BYTES", 20)

    def parse_text(text: str) -> pa.Table:
        (tmp_path / "upload").write_text(text)
        parse(tmp_path / "upload", "application/x-ndjson", tmp_path / "out.arrow", Limits())
        return load(tmp_path / "out.arrow")

    return parse_text


def test_types_widen_over_all_lines(table: Callable[..., pa.Table]) -> None:
    read = table(
        '{"x": 1, "day": "2026-01-01", "none": null}\n\n'
        '{"x": 2.5, "extra": true}\n'
        '{"day": "no day", "x": 3}\n'
    )
    assert read.to_pylist() == [
        {"x": 1.0, "day": "2026-01-01", "none": None, "extra": None},
        {"x": 2.5, "day": None, "none": None, "extra": True},
        {"x": 3.0, "day": "no day", "none": None, "extra": None},
    ]


def test_nested_lists_are_tensors(table: Callable[..., pa.Table]) -> None:
    read = table('{"v": [[1, 2, 3], [4, 5, 6]]}\n{"v": [[7, 8, 9], [0, 1, 2.5]]}\n')
    x = numeric_array(read, ["v"])
    assert x.shape == (2, 2, 3)
    np.testing.assert_array_equal(x[1], [[7, 8, 9], [0, 1, 2.5]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"x": 1}\n{"x": "a"}\n', "(x|'x').*(changed|is int64)"),
        ('{"x": 1}\n{"x": 2\n{"x": 3}\n', "row 2|after row 1"),
        ('{"x": 1}\nhello\n', "row 2|after row 1"),
        ('[{"x": 1}]\n', "one JSON array"),
        ('{"x": {"y": 1}}\n', "column 'x' is of type struct"),
        ('{"v": [1, 2]}\n{"v": [1]}\n', "column 'v', row 2|column 'v': cells"),
        ('{"v": [1, null]}\n', "column 'v', row 1: a number is missing"),
        ('{"x": 1, "x": 2}\n', "twice"),
        ("{}\n{}\n", "no columns|no rows"),
        ("\n \n", "no rows"),
    ],
)
def test_what_is_wrong_is_said(table: Callable[..., pa.Table], text: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        table(text)
