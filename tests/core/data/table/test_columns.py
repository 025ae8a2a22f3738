"""Columns come out of a stored table as arrays, or with an error naming column and row."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.data.prepare.features import numeric_array
from core.data.table.columns import codes, encoded, labels
from core.data.table.reader import load
from core.data.table.tensors import tensor_array, tensor_field
from core.errors import InvalidError, NotFoundError


@pytest.fixture
def table(tmp_path: Path) -> pa.Table:
    """A stored table in two chunks: a, b numbers; c text; n with a null; f with a NaN; image."""
    field = tensor_field("image", pa.uint8(), (2, 3))
    images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    whole = pa.table(
        {
            "a": pa.array([1, 2, 3, 4], pa.int64()),
            "b": pa.array([True, False, True, False]),
            "c": pa.array(["x", "y", "x", "z"]),
            "n": pa.array([1.0, 2.0, None, 4.0]),
            "f": pa.array([1.0, 2.0, 3.0, float("nan")]),
            "big": pa.array([1e300, 1.0, 1.0, 1.0]),
        }
    ).append_column(field, tensor_array(images, field))
    path = tmp_path / "table.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=3)
    return load(path)


def test_scalar_columns_lie_side_by_side(table: pa.Table) -> None:
    x = numeric_array(table, ["b", "a"])
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, [[1, 1], [0, 2], [1, 3], [0, 4]])


def test_one_tensor_column_keeps_its_shape(table: pa.Table) -> None:
    x = numeric_array(table, ["image"], np.float64)
    assert x.shape == (4, 2, 3)
    np.testing.assert_array_equal(x, np.arange(24).reshape(4, 2, 3))


def test_tensors_next_to_scalars_are_flattened(table: pa.Table) -> None:
    x = numeric_array(table, ["a", "image"])
    assert x.shape == (4, 7)
    np.testing.assert_array_equal(x[3], [4, 18, 19, 20, 21, 22, 23])


def test_labels_keep_their_type(table: pa.Table) -> None:
    assert labels(table, "a").tolist() == [1, 2, 3, 4]
    assert labels(table, "b").dtype == np.bool_
    assert labels(table, "c").tolist() == ["x", "y", "x", "z"]


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_column_is_encoded_as_its_labels_are(table: pa.Table, name: str) -> None:
    values = labels(table, name)
    for known in (None, sorted(set(values.tolist()), reverse=True)):
        found, places = encoded(table, name, known)
        assert list(found) == (known or np.unique(values).tolist())
        assert places.tolist() == codes(values, found).tolist()
    with pytest.raises(InvalidError, match="is none of"):
        encoded(table, name, [])


def test_codes_are_places_among_the_classes(table: pa.Table) -> None:
    assert codes(labels(table, "c"), ["x", "y", "z"]).tolist() == [0, 1, 0, 2]
    with pytest.raises(InvalidError, match="'z' is none of"):
        codes(labels(table, "c"), ["x", "y"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("c", r"column 'c' is text \('x' in row 1\)"),
        ("n", "column 'n' has 1 missing values, the first in row 3"),
        ("f", "column 'f' has a number that is not finite .* in row 4"),
        ("big", "column 'big' has a number that is not finite .* in row 1"),
        ("nowhere", "there is no column 'nowhere'; the columns are a, b, c"),
    ],
)
def test_what_cannot_be_a_feature_is_named(table: pa.Table, name: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        numeric_array(table, ["a", name])


def test_features_need_a_column(table: pa.Table) -> None:
    with pytest.raises(InvalidError, match="at least one"):
        numeric_array(table, [])


@pytest.mark.parametrize(
    ("name", "message"),
    [("n", "row 3"), ("f", "row 4"), ("image", "not labels"), ("nowhere", "no column")],
)
def test_what_cannot_be_a_label_is_named(table: pa.Table, name: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        labels(table, name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load(tmp_path / "no.arrow")


def test_a_file_that_is_not_arrow(tmp_path: Path) -> None:
    path = tmp_path / "bad.arrow"
    path.write_bytes(b"ARROW1\0\0 and then nothing of use")
    with pytest.raises(InvalidError, match="not a whole Arrow file"):
        load(path)
