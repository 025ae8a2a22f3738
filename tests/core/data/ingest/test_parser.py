"""Uploads become canonical files, or one of our errors that says what is wrong; nothing else."""

import gzip
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard

from core.data.ingest.formats import options_of, typed
from core.data.ingest.limits import Limits
from core.data.ingest.parser import ENVIRONMENT, ParsedDataset, parse
from core.data.prepare.features import numeric_array
from core.data.table.columns import labels
from core.data.table.reader import load
from core.errors import InvalidError, TooLargeError, UnavailableError
from tests.support.file_cases import npy, npz, parquet, zipped

DIGITS = Path(__file__).parents[4] / "examples" / "digits.csv"
PARQUET = "application/vnd.apache.parquet"
NPZ = "application/x-npz"


@pytest.fixture
def upload(tmp_path: Path) -> Callable[..., ParsedDataset]:
    """Parses bytes of a content type in the real confined process."""

    def parse_bytes(
        content: bytes, content_type: str, limits: Limits | None = None
    ) -> ParsedDataset:
        source = tmp_path / "upload"
        source.write_bytes(content)
        try:
            return parse(source, content_type, tmp_path / "out.arrow", limits)
        except Exception:
            left = sorted(path.name for path in tmp_path.iterdir())
            assert left == ["upload"], "a failed parse leaves nothing"
            raise

    return parse_bytes


def test_the_digits(tmp_path: Path) -> None:
    parsed = parse(DIGITS, "text/csv; charset=utf-8", tmp_path / "digits.arrow")
    assert parsed.format == "csv"
    assert parsed.schema.rows == 1797
    assert len(parsed.schema.columns) == 65
    assert parsed.schema.column("label").classes == tuple(range(10))
    assert parsed.digest == hashlib.sha256(parsed.path.read_bytes()).hexdigest()
    assert parsed.bytes == parsed.path.stat().st_size
    table = load(parsed.path)
    x = numeric_array(table, [name for name in table.column_names if name != "label"])
    written = np.loadtxt(DIGITS, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(x, written[:, :-1])
    np.testing.assert_array_equal(labels(table, "label"), written[:, -1])


def test_equal_content_has_one_digest_whatever_the_format(
    upload: Callable[..., ParsedDataset],
) -> None:
    x, y = [1.5, 2.5, 3.5], ["a", "b", "a"]
    by_csv = upload(b"x,y\n1.5,a\n2.5,b\n3.5,a\n", "text/csv")
    by_parquet = upload(parquet(pa.table({"x": x, "y": y}), row_group_size=2), PARQUET)
    by_npz = upload(npz(x=np.array(x), y=np.array(y)), NPZ)
    assert by_csv.digest == by_parquet.digest == by_npz.digest
    assert upload(b"x,y\n1.5,a\n2.5,b\n3.5,b\n", "text/csv").digest != by_csv.digest


def test_without_a_telling_content_type_the_bytes_decide(
    upload: Callable[..., ParsedDataset],
) -> None:
    assert upload(npz(x=np.arange(3)), "application/octet-stream").format == "npz"
    assert upload(parquet(pa.table({"x": [1]})), "").format == "parquet"
    assert upload(b"x,y\n1,2\n", "application/x-www-form-urlencoded").format == "csv"


@pytest.mark.parametrize(
    ("content", "content_type", "message"),
    [
        (b"", "text/csv", "empty"),
        (b"a,b\n1,2\n3\n", "text/csv", "row 2 has 1 values where the header has 2"),
        (b"a,b\n1,2\n", PARQUET, "not whole Parquet"),
        (b"a,b\n1,2\n", "application/pdf", "is not one of"),
    ],
)
def test_what_is_wrong_is_said_across_the_process(
    upload: Callable[..., ParsedDataset], content: bytes, content_type: str, message: str
) -> None:
    with pytest.raises(InvalidError, match=message):
        upload(content, content_type)


BOMBS = {
    "npz": (
        zipped(("x.npy", npy(np.zeros(2**25))), compression=zipfile.ZIP_DEFLATED),
        NPZ,
    ),
    "gzip": (gzip.compress(b"a,b\n" + b"1,2\n" * 2**25), "text/csv"),
    "zstd": (zstandard.compress(b"a,b\n" + b"1,2\n" * 2**25), "text/csv"),
    "parquet": (parquet(pa.table({"x": pa.array(np.zeros(2**25))})), PARQUET),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_before_they_go_off(
    upload: Callable[..., ParsedDataset], kind: str
) -> None:
    content, content_type = BOMBS[kind]
    assert len(content) < 2**21
    with pytest.raises(TooLargeError, match="expands to"):
        upload(content, content_type)


def test_a_parser_that_wants_all_memory_is_stopped(upload: Callable[..., ParsedDataset]) -> None:
    # One dictionary value of 1 MB in every row: a small file, but not when it is decoded.
    value = pa.DictionaryArray.from_arrays(np.zeros(3000, np.int32), ["x" * 2**20])
    table = pa.table({"x": value})
    with pytest.raises(TooLargeError, match="memory"):
        upload(parquet(table), PARQUET, Limits(memory_bytes=2**30))


def test_a_parser_that_takes_too_long_is_stopped(upload: Callable[..., ParsedDataset]) -> None:
    rows = b"\n".join(b"%d,%d" % (i, i) for i in range(2_000_000))
    with pytest.raises(TooLargeError, match="processor seconds"):
        upload(b"a,b\n" + rows, "text/csv", Limits(cpu_seconds=1, bytes_per_cpu_second=2**40))


def test_a_target_that_grows_too_large_is_stopped(upload: Callable[..., ParsedDataset]) -> None:
    with pytest.raises(TooLargeError, match="grows beyond"):
        upload(b"a\n" + b"1\n" * 150_000, "text/csv", Limits(max_bytes=1_000_000))


@pytest.mark.parametrize("columns", [10_000, 10_001])
def test_many_columns(upload: Callable[..., ParsedDataset], columns: int) -> None:
    names = ",".join(f"c{i}" for i in range(columns))
    row = ",".join(["1"] * columns)
    content = f"{names}\n{row}\n".encode()
    if columns > Limits().max_columns:
        with pytest.raises(TooLargeError, match="10,001 columns"):
            upload(content, "text/csv")
    else:
        assert len(upload(content, "text/csv").schema.columns) == columns


def test_a_disk_without_space_is_this_machines_fault(tmp_path: Path) -> None:
    source = tmp_path / "upload"
    source.write_bytes(b"a,b\n1,2\n")
    target = tmp_path / "full"
    target.with_name("full.partial").symlink_to("/dev/full")
    with pytest.raises(UnavailableError, match="no space"):
        parse(source, "text/csv", target)


def test_no_secret_of_ours_reaches_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_DATABASE_URL", "postgresql://user:secret@host/db")
    assert not [name for name in ENVIRONMENT if name.startswith(("CHAINRULE", "AWS"))]
    assert "secret" not in str(ENVIRONMENT)
    assert os.environ["CHAINRULE_DATABASE_URL"]


def test_options_and_warnings_come_with_the_file(upload: Callable[..., ParsedDataset]) -> None:
    rows = "".join(f"{number};{number % 3},5;{number % 2}\n" for number in range(30))
    parsed = upload(f"id;x;y\n{rows}".encode(), 'text/csv; charset=utf-8; decimal=","')
    assert parsed.options == {"decimal": ","}
    assert [(warning.column, warning.kind) for warning in parsed.warnings] == [("id", "identifier")]


def test_defaults_hold_where_the_content_type_says_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "a.arrow"
    source.write_text("x;y\n1,5;?\n")
    defaults = {"decimal": ",", "nulls": "?"}
    parse(source, "text/csv", target, defaults=defaults)
    assert load(target).to_pylist() == [{"x": 1.5, "y": None}]
    parse(source, 'text/csv; decimal="."; text=x', target, defaults=defaults)
    assert load(target).to_pylist() == [{"x": "1,5", "y": None}]
    source.write_bytes(parquet(pa.table({"x": [1]})))
    assert parse(source, "", target, defaults=defaults).format == "parquet"


@pytest.mark.parametrize("name", ["train.py", "notes.ipynb", "rows.XLSX", "page.html"])
def test_files_that_are_no_data_are_refused_by_their_ending(name: str) -> None:
    with pytest.raises(InvalidError, match=f"a {Path(name).suffix.lower()} file is no data"):
        typed("application/octet-stream", name)
    assert typed("text/csv", name) == "text/csv"


def test_parameters_of_a_generic_content_type_are_kept() -> None:
    kind = typed('application/octet-stream; nulls="?,;"', "a.csv.gz")
    assert kind.partition(";")[0] == "text/csv"
    assert options_of(kind) == {"nulls": "?,;"}
