"""Wrong uploads of every kind: each gets an error that names what is wrong, and where.

In this process, where it is fast; test_intake.py goes through the confined one.
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.data.ingest.limits import Limits
from core.data.ingest.sandbox import parse
from core.errors import InvalidError
from tests.support.file_cases import npy, npz, parquet, zipped

PARQUET = "application/vnd.apache.parquet"
NPZ = "application/x-npz"


@pytest.fixture
def upload(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Parses bytes of a content type."""

    def parse_bytes(content: bytes, content_type: str) -> dict[str, Any]:
        source = tmp_path / "upload"
        source.write_bytes(content)
        return parse(source, content_type, tmp_path / "out.arrow", Limits())

    return parse_bytes


WRONG = {
    "empty": (b"", "text/csv", "empty"),
    "blank": (b"\n\n  \n", "text/csv", "empty"),
    "no rows": (b"a,b\n", "text/csv", "no rows"),
    "short row": (b"a,b\n1,2\n3\n4,5\n", "text/csv", "row 2 has 1 values where the header has 2"),
    "long row": (b"a,b\n1,2\n3,4,5\n", "text/csv", "row 2 has 3 values where the header has 2"),
    "wrong delimiter": (b"a;b\n1;2\n", 'text/csv; delimiter=","', "the delimiter ';'"),
    "mixed types": (b"a,b\n1,2\n2,3\nx,4\n", "text/csv", "column 'a' .* row 3 holds 'x'"),
    "numbers then true": (b"a,b\n1,2\n2,3\ntrue,4\n", "text/csv", "column 'a' .* row 3 .*'true'"),
    "repeated name": (b"a,b,a\n1,2,3\n", "text/csv", "columns 1 and 3 have the same name 'a'"),
    "repeated but for blanks": (b"a,b, a\n1,2,3\n", "text/csv", "the same name 'a'"),
    "no name": (b",b\n0,2\n", "text/csv", "column 1 has no name"),
    "no header": (b"1,2.5\n3,4\n", "text/csv", "not column names"),
    "nul byte": (b"a,b\n1,2\n3,\0\n", "text/csv", "line 3 holds a nul byte"),
    "latin-1": ("a,b\n1,caf\u00e9\n".encode("latin-1"), "text/csv", "line 2 .* not UTF-8"),
    "utf-16": ("a,b\n1,2\n".encode("utf-16"), "text/csv", "UTF-16"),
    "cut in a character": ("a,b\n1,\u20ac".encode()[:-1], "text/csv", "within a UTF-8 character"),
    "open quote": (b'a,b\n1,x\n2,"y\n3,z\n', "text/csv", "double quote"),
    "cut gzip": (b"\x1f\x8b\x08\0\0\0\0\0\0\xff", "text/csv", "broken or cut"),
    "broken zstd": (b"\x28\xb5\x2f\xfd" + b"\xff" * 50, "text/csv", "broken or cut"),
    "unknown type": (b"a,b\n1,2\n", "application/pdf", "is not one of"),
    "unknown option": (b"a,b\n1,2\n", "text/csv; sheet=2", "sheet"),
    "bad option": (b"a,b\n1,2\n", "text/csv; header=maybe", "header"),
    "unknown text column": (b"a,b\n1,2\n", "text/csv; text=z", "no column 'z'"),
    "parquet as csv": (b"PAR1" + b"x" * 99, "text/csv", "the file is parquet"),
    "csv as parquet": (b"a,b\n1,2\n", PARQUET, "not whole Parquet"),
    "csv as npz": (b"a,b\n1,2\n", NPZ, "not a whole NPZ"),
    "cut parquet": (parquet(pa.table({"a": [1, 2]}))[:-9], PARQUET, "not whole Parquet"),
    "struct": (parquet(pa.table({"s": [{"a": 1}]})), PARQUET, "column 's'"),
    "binary": (parquet(pa.table({"s": [b"a"]})), PARQUET, "column 's' is of type binary"),
    "ragged": (
        parquet(pa.table({"v": [[1, 2], [3, 4], [5]]})),
        PARQUET,
        "column 'v', row 3: 1 values",
    ),
    "null inside": (parquet(pa.table({"v": [[1, 2], [3, None]]})), PARQUET, "row 2: a number is"),
    "null array": (parquet(pa.table({"v": [[1, 2], None]})), PARQUET, "row 2: an array is"),
    "list of text": (parquet(pa.table({"v": [["a"], ["b"]]})), PARQUET, "arrays of string"),
    "parquet, no rows": (
        parquet(pa.table({"a": pa.array([], pa.int64())})),
        PARQUET,
        "no rows",
    ),
    "parquet, names": (
        parquet(pa.Table.from_arrays([pa.array([1])] * 2, names=["a", "a"])),
        PARQUET,
        "the same name",
    ),
    "objects": (zipped(("x.npy", npy(np.array([{}, 1], dtype=object)))), NPZ, "Python objects"),
    "unequal": (npz(x=np.zeros(3), y=np.zeros(4)), NPZ, "different numbers of rows: x 3, y 4"),
    "scalar": (npz(x=np.float64(1)), NPZ, "has 0 axes"),
    "complex": (npz(x=np.zeros(3, complex)), NPZ, "of type complex128"),
    "structured": (npz(x=np.zeros(3, "i4,f4")), NPZ, "numbers or text"),
    "dates": (npz(x=np.zeros(3, "datetime64[s]")), NPZ, "numbers or text"),
    "npz, no rows": (npz(x=np.zeros((0, 3))), NPZ, "no rows"),
    "npz, empty rows": (npz(x=np.zeros((3, 0))), NPZ, "empty rows"),
    "cut npz": (npz(x=np.zeros(300))[:-40], NPZ, "not a whole NPZ"),
    "no npy": (zipped(("x.txt", b"hello")), NPZ, "only .npy"),
    "no header in npy": (zipped(("x.npy", b"hello, this is no array")), NPZ, "no readable"),
    "short npy": (zipped(("x.npy", npy(np.zeros(9))[:-8])), NPZ, "promises 72 bytes"),
    "empty zip": (zipped(), NPZ, "the archive is empty"),
    "dots": (zipped(("../x.npy", npy(np.zeros(3)))), NPZ, "leads out of"),
    "absolute": (zipped(("/etc/x.npy", npy(np.zeros(3)))), NPZ, "leads out of"),
    "backslash": (zipped(("..\\x.npy", npy(np.zeros(3)))), NPZ, "leads out of"),
    "drive": (zipped(("C:/x.npy", npy(np.zeros(3)))), NPZ, "leads out of"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(upload: Callable[..., dict[str, Any]], case: str) -> None:
    content, content_type, message = WRONG[case]
    with pytest.raises(InvalidError, match=message):
        upload(content, content_type)


def _link() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        info = zipfile.ZipInfo("x.npy")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return sink.getvalue()


def test_links_in_archives_are_refused(upload: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(InvalidError, match="is a link"):
        upload(_link(), NPZ)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_repeated_names_in_archives_are_refused(upload: Callable[..., dict[str, Any]]) -> None:
    twice = zipped(("x.npy", npy(np.zeros(3))), ("x.npy", npy(np.ones(3))))
    with pytest.raises(InvalidError, match="twice"):
        upload(twice, NPZ)


def test_encrypted_files_in_archives_are_refused(upload: Callable[..., dict[str, Any]]) -> None:
    content = bytearray(zipped(("x.npy", npy(np.zeros(3)))))
    content[6] |= 1
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(InvalidError, match="is encrypted"):
        upload(bytes(content), NPZ)


def test_overlapping_files_in_archives_are_refused(upload: Callable[..., dict[str, Any]]) -> None:
    content = bytearray(zipped(("a.npy", npy(np.zeros(3))), ("b.npy", npy(np.zeros(3)))))
    second = content.rfind(b"PK\x01\x02")
    content[second + 42 : second + 46] = (0).to_bytes(4, "little")
    with pytest.raises(InvalidError):
        upload(bytes(content), NPZ)
