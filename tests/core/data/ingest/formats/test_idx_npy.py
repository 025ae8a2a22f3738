"""IDX and NPY files become the columns that their documentation promises."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from core.data.ingest.formats.idx import encode
from core.data.ingest.limits import Limits
from core.data.ingest.sandbox import parse
from core.data.prepare.features import numeric_array
from core.data.table.columns import labels
from core.data.table.reader import load
from core.errors import InvalidError

IMAGES = np.arange(4 * 6, dtype=np.uint8).reshape(4, 3, 2)
LABELS = np.array([3, 1, 2, 3], np.uint8)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., pa.Table]:
    def parse_bytes(content: bytes, content_type: str = "application/octet-stream") -> pa.Table:
        (tmp_path / "upload").write_bytes(content)
        parse(tmp_path / "upload", content_type, tmp_path / "out.arrow", Limits())
        return load(tmp_path / "out.arrow")

    return parse_bytes


def zipped(**files: Any) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, array in files.items():
            archive.writestr(f"{name.replace('_', '-')}.idx{array.ndim}-ubyte", encode(array))
    return sink.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


def test_images_and_labels_lie_side_by_side(table: Callable[..., pa.Table]) -> None:
    read = table(zipped(train_images=IMAGES, train_labels=LABELS))
    assert read.column_names == ["image", "label"]
    np.testing.assert_array_equal(numeric_array(read, ["image"])[..., 0], IMAGES)
    np.testing.assert_array_equal(labels(read, "label"), LABELS)


def test_parts_follow_each_other(table: Callable[..., pa.Table]) -> None:
    train = {"train_images": IMAGES, "train_labels": LABELS}
    read = table(zipped(t10k_images=IMAGES[:1], t10k_labels=LABELS[:1], **train))
    assert read.column("split").to_pylist() == ["train"] * 4 + ["test"]
    assert labels(read, "label").tolist() == [3, 1, 2, 3, 3]


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_every_type_of_number(table: Callable[..., pa.Table], dtype: str) -> None:
    array = np.array([1, 2, 100], dtype)
    np.testing.assert_array_equal(labels(table(encode(array)), "label"), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encode(IMAGES)[:-1], "promises 24 bytes of numbers and has 23"),
        (encode(IMAGES) + b"x", "promises 24 bytes of numbers and has 25"),
        (encode(IMAGES)[:7], "ends within its header"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "promises"),
        (zipped(train_images=IMAGES, train_labels=LABELS[:3]), "numbers of rows: image 4, label 3"),
        (zipped(a_images=IMAGES, b_images=IMAGES), "the same name 'image'"),
        (encode(np.zeros((3, 0), np.uint8)), "empty rows"),
    ],
)
def test_what_is_wrong_with_idx_is_said(
    table: Callable[..., pa.Table], content: bytes, message: str
) -> None:
    with pytest.raises(InvalidError, match=message):
        table(content, "application/x-idx")


def test_a_table_becomes_columns(table: Callable[..., pa.Table]) -> None:
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    read = table(npy(array))
    assert read.column_names == ["column_1", "column_2", "column_3"]
    np.testing.assert_array_equal(numeric_array(read, read.column_names), array)


@pytest.mark.parametrize("order", "CF")
def test_images_become_one_column(table: Callable[..., pa.Table], order: Literal["C", "F"]) -> None:
    array = np.asarray(np.random.default_rng(0).random((5, 4, 3, 2)), order=order)
    read = table(npy(array), "application/x-npy; name=picture")
    assert read.column_names == ["picture"]
    np.testing.assert_array_equal(numeric_array(read, ["picture"], np.float64), array)
