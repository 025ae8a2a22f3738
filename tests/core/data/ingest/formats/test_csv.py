"""CSV as people really write it: delimiters, quotes, missing values, decimals, compression."""

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.ingest.formats import csv as csv_format
from core.data.ingest.formats.csv import sniff
from core.data.ingest.limits import Limits
from core.data.ingest.sandbox import parse
from core.data.table.reader import load
from core.errors import InvalidError


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Parses bytes; what was read as dictionaries."""

    def parse_bytes(content: bytes, content_type: str = "text/csv") -> list[dict[str, Any]]:
        (tmp_path / "upload").write_bytes(content)
        parse(tmp_path / "upload", content_type, tmp_path / "out.arrow", Limits())
        rows: list[dict[str, Any]] = load(tmp_path / "out.arrow").to_pylist()
        return rows

    return parse_bytes


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_delimiters_are_sniffed(
    rows: Callable[..., list[dict[str, Any]]], delimiter: str, newline: str
) -> None:
    lines = ("a b", "x, y; z", "t"), ("1", '"a, b; c"', "u"), ("2", '"|"', "")
    if delimiter in ",;":
        lines = ("a b", '"x, y; z"', "t"), *lines[1:]
    content = newline.join(delimiter.join(line) for line in lines).encode()
    assert rows(content) == [
        {"a b": 1, "x, y; z": "a, b; c", "t": "u"},
        {"a b": 2, "x, y; z": "|", "t": None},
    ]


def test_decimal_commas_do_not_hide_the_delimiter(
    rows: Callable[..., list[dict[str, Any]]],
) -> None:
    content = b"size;kind\n" + b"1,5;a\n" * 9
    assert rows(content, 'text/csv; decimal=","')[0] == {"size": 1.5, "kind": "a"}


def test_a_single_column(rows: Callable[..., list[dict[str, Any]]]) -> None:
    assert rows(b"x\n1\n2\n") == [{"x": 1}, {"x": 2}]
    assert sniff(b"x\n1\n2\n") == ","


def test_missing_values_by_their_usual_names(rows: Callable[..., list[dict[str, Any]]]) -> None:
    read = rows(b"x,y,t\n1,NA,NA\n,2.5,\nnan,null,none\n3,4,word\n")
    assert [row["x"] for row in read] == [1, None, None, 3]
    assert [row["y"] for row in read] == [None, 2.5, None, 4]
    assert [row["t"] for row in read] == ["NA", None, "none", "word"]


def test_types(rows: Callable[..., list[dict[str, Any]]]) -> None:
    assert rows(b"i,f,b,t,n\n 1 ,1,true,x,\n-2,2e3,FALSE,1x,\n") == [
        {"i": 1, "f": 1.0, "b": True, "t": "x", "n": None},
        {"i": -2, "f": 2000.0, "b": False, "t": "1x", "n": None},
    ]


def test_text_may_be_declared(rows: Callable[..., list[dict[str, Any]]]) -> None:
    assert rows(b"zip,x\n01234,1\n99999,2\n", 'text/csv; text="zip"')[0] == {"zip": "01234", "x": 1}
    assert rows(b"zip,x\n01234,1\n99999,2\n")[0] == {"zip": 1234, "x": 1}


def test_a_decimal_comma(rows: Callable[..., list[dict[str, Any]]]) -> None:
    read = rows(b"x;y\n1,5;2\n-2,25;3\n", 'text/csv; decimal=","')
    assert read == [{"x": 1.5, "y": 2}, {"x": -2.25, "y": 3}]


def test_without_a_header(rows: Callable[..., list[dict[str, Any]]]) -> None:
    read = rows(b"5,a\n6,b\n", "text/csv; header=absent")
    assert read == [{"column_1": 5, "column_2": "a"}, {"column_1": 6, "column_2": "b"}]


def test_names_that_count(rows: Callable[..., list[dict[str, Any]]]) -> None:
    assert rows(b"0,1,2\n5,6,7\n") == [{"0": 5, "1": 6, "2": 7}]


@pytest.mark.parametrize("squeeze", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("content_type", ["text/csv", "application/octet-stream"])
def test_compressed_as_a_whole(
    rows: Callable[..., list[dict[str, Any]]], squeeze: Any, content_type: str
) -> None:
    assert rows(squeeze(b"x,y\n1,2\n"), content_type) == [{"x": 1, "y": 2}]


def test_compressed_in_several_pieces(rows: Callable[..., list[dict[str, Any]]]) -> None:
    pieces = gzip.compress(b"x,y\n1,2\n") + gzip.compress(b"3,4\n")
    assert rows(pieces) == [{"x": 1, "y": 2}, {"x": 3, "y": 4}]


def test_types_are_found_beyond_the_first_block(
    rows: Callable[..., list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_format, "BLOCK_BYTES", 64)
    content = b"x,y\n" + b"1,1\n" * 100 + b"2.5,2\n"
    assert rows(content)[-1] == {"x": 2.5, "y": 2}
    with pytest.raises(InvalidError, match="row 102 holds 'oops'"):
        rows(content + b"oops,3\n")
    with pytest.raises(InvalidError, match="row 102 has 3 values"):
        rows(content + b"1,2,3\n")


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("x;y\n1,5;2\n2,25;3\n", "decimal=','"),
        ('x,y\n"1,234.50",2\n999.50,3\n', "thousands=','"),
        ("x;y\n1.234,5;2\n2.345,6;3\n", "decimal=',' thousands='.'"),
        ("x;y\n1 234.5;2\n2\u00a0345.6;3\n", "thousands=' '"),
        ("x;y\n1'234;2\n2'345;3\n", 'thousands="\'"'),
        ('x,y\n"1,234",2\n"2,345",3\n', "decimal=',' or thousands=','"),
    ],
)
def test_numbers_in_another_notation_are_named_with_the_way_out(
    rows: Callable[..., list[dict[str, Any]]], content: str, remedy: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        rows(content.encode())
    [error] = caught.value.errors
    assert error.path == "x"
    value = content.splitlines()[1].split(";")[0].strip('"').split('"')[0]
    assert f"row 1 holds {value!r}" in error.message
    assert f"with {remedy};" in error.message
    assert rows(content.encode(), "text/csv; text=x")[0]["x"] == value


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ('x\n"1,234.50"\n7\n', 'thousands=","', [1234.5, 7.0]),
        ('x\n"-1,234,567"\n7\n', 'thousands=","', [-1234567, 7]),
        ("x;y\n1.234,5;a\n;b\n", 'decimal=","; thousands="."', [1234.5, None]),
        ("x;y\n1\u202f234;a\n.;b\n", 'thousands=" "; nulls="."', [1234, None]),
        ("x\n1\n?\n-999\n", 'nulls="-999"', [1, None, None]),
    ],
)
def test_notations_and_nulls_are_read(
    rows: Callable[..., list[dict[str, Any]]], content: str, options: str, expected: list[Any]
) -> None:
    assert [row["x"] for row in rows(content.encode(), f"text/csv; {options}")] == expected


def test_digits_that_are_no_groups_of_thousands_are_no_number(
    rows: Callable[..., list[dict[str, Any]]],
) -> None:
    with pytest.raises(InvalidError, match="decimal=','"):
        rows(b"x;y\n1,5;2\n2,25;3\n", 'text/csv; thousands=","; decimal="."')
    with pytest.raises(InvalidError, match="the same mark"):
        rows(b"x;y\n1,5;2\n", 'text/csv; thousands="."')


def test_nulls_are_missing_in_text_too(rows: Callable[..., list[dict[str, Any]]]) -> None:
    read = rows(b"x,y\na,1\n?,2\nb,.\n", 'text/csv; nulls="?, ."')
    assert [row["x"] for row in read] == ["a", None, "b"]
    assert [row["y"] for row in read] == [1, 2, None]


def test_all_columns_that_mix_numbers_and_text_are_named(
    rows: Callable[..., list[dict[str, Any]]],
) -> None:
    with pytest.raises(InvalidError) as caught:
        rows(b"x,y,z\n1,2,a\n3,unknown,b\n.,4,c\n5,6,d\n")
    assert [error.path for error in caught.value.errors] == ["x", "y"]
    assert "row 3 holds '.'" in caught.value.errors[0].message
    assert "nulls=unknown" in caught.value.errors[1].message


@pytest.mark.parametrize(
    "content",
    [
        "5.1,3.5,setosa\n4.9,3.0,setosa\n6.3,3.3,virginica\n",
        "male,22\nfemale,38\nmale,22\n",
        "sunny,hot,no\nsunny,hot,no\nrainy,mild,yes\n",
        "1,0,A,male,22,1\n2,1,B,female,38,1\n",  # the second 1 repeats a name
    ],
)
def test_a_first_row_of_data_is_not_taken_for_names(
    rows: Callable[..., list[dict[str, Any]]], content: str
) -> None:
    with pytest.raises(InvalidError, match="parse it with header=absent"):
        rows(content.encode())
    read = rows(content.encode(), "text/csv; header=absent")
    assert len(read) == len(content.splitlines())
    assert next(iter(read[0])) == "column_1"


@pytest.mark.parametrize(
    "content",
    [
        "name,2019,2020\na,1.5,2.5\nb,3.5,4.5\n",
        "label,0,1,2\na,0,3,255\n",
        "400.5,401,401.5,402,402.5,kind\n0.1,0.2,0.3,0.4,0.5,a\n",
        "5.1,3.5\n4.9,3.0\n",
        "coffee,tea,id\ncoffee,,1\n,tea,2\n",
    ],
)
def test_names_that_look_like_data_are_kept_when_they_are_names(
    rows: Callable[..., list[dict[str, Any]]], content: str
) -> None:
    names = content.splitlines()[0].split(",")
    options = "; header=present" if len(names) == 2 else ""
    assert list(rows(content.encode(), f"text/csv{options}")[0]) == names


def test_text_that_is_not_in_columns_is_refused(rows: Callable[..., list[dict[str, Any]]]) -> None:
    program = b"import numpy as np\n\nx = np.zeros(3)\nprint(x)\n"
    with pytest.raises(InvalidError, match="one column of text"):
        rows(program)
    assert len(rows(b"word\none\ntwo\n", "text/csv; text=word")) == 2


def test_a_file_that_was_accepted_before_is_read_as_before(
    rows: Callable[..., list[dict[str, Any]]],
) -> None:
    assert rows(b"5;6\n1,5;2\n2,25;3\n", "text/csv; checks=off") == [
        {"5": "1,5", "6": 2},
        {"5": "2,25", "6": 3},
    ]


cell = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8
).map(lambda text: "t" + text)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), cell), min_size=1
    )
)
def test_what_python_writes_is_read_back(
    rows: Callable[..., list[dict[str, Any]]], table: pa.Table
) -> None:
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(["i", "f", "t"])
    writer.writerows(table)
    read = rows(sink.getvalue().encode())
    assert [tuple(row.values()) for row in read] == table
