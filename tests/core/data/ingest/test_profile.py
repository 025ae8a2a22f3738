"""The schema tells what the columns hold, whatever batches they lie in."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.ingest import canonical, histogram
from core.data.ingest.canonical import write
from core.data.ingest.limits import Limits
from core.data.ingest.profile import describe
from core.data.table.schema import QUANTILES, DatasetSchema


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("describe") / "table.arrow"


def described(table: pa.Table, path: Path, cuts: int = 1) -> DatasetSchema:
    size = -(-table.num_rows // cuts)
    write(iter(table.to_batches(max_chunksize=size)), path, Limits())
    return describe(path)


@settings(deadline=None)
@given(
    values=st.lists(st.none() | st.floats(-1e9, 1e9, width=32), min_size=1, max_size=200),
    cuts=st.integers(1, 7),
)
def test_numbers_agree_with_numpy(values: list[float | None], cuts: int, path: Path) -> None:
    column = described(pa.table({"x": pa.array(values, pa.float64())}), path, cuts).column("x")
    present = np.array([value for value in values if value is not None], np.float64)
    assert column.nulls == len(values) - len(present)
    if not len(present):
        assert (column.minimum, column.mean, column.distribution) == (None, None, None)
        return
    assert (column.minimum, column.maximum) == (present.min(), present.max())
    assert column.mean is not None
    assert column.deviation is not None
    np.testing.assert_allclose(column.mean, present.mean(), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(column.deviation, present.std(), rtol=1e-6, atol=1e-3)
    assert column.distribution is not None
    assert sum(column.distribution.histogram) == len(present)
    np.testing.assert_allclose(column.distribution.quantiles, np.quantile(present, QUANTILES))


@settings(deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=30), text=st.booleans())
def test_the_digest_does_not_depend_on_batches(cuts: list[int], text: bool, path: Path) -> None:
    rows = sum(cuts)
    values = [None if row % 3 == 1 else row / 2 for row in range(rows)]
    names = [None if row % 4 == 1 else f"name {row}" for row in range(rows)]
    table = pa.table({"x": values, "name": names}) if text else pa.table({"x": values})
    write(iter(table.to_batches()), path, Limits())
    whole = path.read_bytes()
    places = np.cumsum([0, *cuts])
    parts = [table.slice(a, b - a) for a, b in itertools.pairwise(places)]
    write((part.combine_chunks().to_batches()[0] for part in parts), path, Limits())
    assert path.read_bytes() == whole


def test_what_lies_under_missing_values_does_not_count(path: Path) -> None:
    def array(under: float) -> pa.Array:
        bitmap = pa.py_buffer(b"\x05")
        return pa.Array.from_buffers(
            pa.float64(), 3, [bitmap, pa.py_buffer(np.array([1.0, under, 3.0]))]
        )

    write(iter(pa.table({"x": array(7.0)}).to_batches()), path, Limits())
    first = path.read_bytes()
    write(iter(pa.table({"x": array(8.0)}).to_batches()), path, Limits())
    assert path.read_bytes() == first


def test_batches_are_cut_by_the_schema_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, "_batch_rows", lambda _: 4)
    table = pa.table({"x": list(range(10))})
    write(iter(table.to_batches(max_chunksize=3)), path, Limits())
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
        assert sizes == [4, 4, 2]
        assert reader.read_all().column("x").to_pylist() == list(range(10))


def test_classes_are_counted(path: Path) -> None:
    table = pa.table(
        {
            "label": ["b", "a", "b", None],
            "flag": [True, True, False, True],
            "whole": [1.0, 2.0, 1.0, 1.0],
            "part": [1.5, 2.0, 1.0, 1.0],
        }
    )
    schema = described(table, path, 2)
    found = {one.name: (one.classes, one.class_counts) for one in schema.columns}
    assert found == {
        "label": (("a", "b"), (1, 2)),
        "flag": ((False, True), (1, 3)),
        "whole": ((1.0, 2.0), (3, 1)),
        "part": (None, None),
    }
    again = DatasetSchema.model_validate_json(schema.model_dump_json())
    assert again == schema
    assert [type(one) for one in again.column("flag").classes or ()] == [bool, bool]
    assert [type(one) for one in again.column("whole").classes or ()] == [float, float]


def test_many_values_are_no_classes(path: Path) -> None:
    table = pa.table({"few": [i % 1000 for i in range(3000)], "many": list(range(3000))})
    schema = described(table, path, 3)
    assert schema.column("few").classes == tuple(range(1000))
    assert schema.column("many").classes is None


def test_numbers_that_are_not_finite_are_counted_apart(path: Path) -> None:
    values = [1.0, float("nan"), float("inf"), float("-inf"), 3.0, None]
    column = described(pa.table({"x": values}), path).column("x")
    assert (column.not_finite, column.nulls) == (3, 1)
    assert (column.minimum, column.maximum, column.mean) == (1.0, 3.0, 2.0)
    described(pa.table({"x": [1e308, -1e308, 1e308]}), path).model_dump_json()


def test_large_columns_are_sampled_alike(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histogram, "MAX_SAMPLE", 1000)
    table = pa.table({"x": np.arange(100_000) % 1009})
    spread = described(table, path).column("x").distribution
    assert spread is not None
    assert spread.sampled == 1000
    np.testing.assert_allclose(spread.quantiles, np.array(QUANTILES) * 1009, atol=30)
