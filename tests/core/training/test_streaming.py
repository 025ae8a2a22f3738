"""Rows that do not fit into memory train from the disk: the same dataset, a reproducible order."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.data.prepare.features import StreamedFeatures
from core.data.prepare.shuffle_buffer import ShuffleBuffer
from core.data.table import chunks, reader
from core.data.table.reader import TableReader
from core.errors import InvalidError
from core.events import CheckpointSaved, EpochEnded, Event, TrainingEnded
from core.nn.stack import StackError
from core.spec import JobSpec
from core.training import checkpoint
from core.training.dataset import load
from core.training.dataset_types import Dataset, Part
from core.training.loop import train
from core.training.trainer import Trainer
from tests.core.training.conftest import write

SMALL = 80_000
"""Far less than the digits take: 1,797 rows of 64 numbers are 460,032 bytes."""

DIGITS = {
    "experiment": "digits",
    "dataset": "digits@1",
    "data": {"target": "label"},
    "network": [{"kind": "dense", "units": 16}, {"kind": "relu"}, {"kind": "dense", "units": 10}],
    "loss": {"kind": "cross_entropy"},
    "optimizer": {"kind": "adam", "learning_rate": 0.01},
    "metrics": [{"kind": "accuracy"}],
    "batch_size": 30,
    "epochs": 3,
    "report_steps": 1,
    "seed": 3,
}


def spec_of(**changes: Any) -> JobSpec:
    return JobSpec.model_validate({**DIGITS, **changes})


def ran(spec: JobSpec, table: Path, folder: Path, **more: Any) -> list[Event]:
    folder.mkdir(exist_ok=True)
    return [event for event in train(spec, table, folder, **more) if event is not None]


def digest(events: list[Event]) -> str:
    """The digest of the weights at the end of training."""
    last = events[-1]
    assert isinstance(last, TrainingEnded)
    return last.weights_digest


def reported(events: list[Event]) -> list[tuple[str, int, Any]]:
    return [(type(e).__name__, e.step, getattr(e, "metrics", None)) for e in events]


@pytest.fixture(scope="session")
def chunked(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits as a cache has them: a manifest, and files of 200 rows each."""
    root = tmp_path_factory.mktemp("cache")
    table = reader.load(digits)
    path = root / "whole.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=200)
    manifest = chunks.cut(path, "0" * 64)
    for chunk, content in chunks.contents(path, manifest):
        place = root / "objects" / chunk.digest[:2] / chunk.digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    (root / "manifests").mkdir()
    found = root / "manifests" / f"{manifest.digest}{chunks.SUFFIX}"
    found.write_bytes(manifest.dumps())
    return found


def test_rows_in_chunks_are_read_a_range_at_a_time(chunked: Path) -> None:
    table_reader, table = TableReader(chunked), reader.load(chunked)
    assert len(table_reader) == table.num_rows == 1797
    for numbers in ([0], [1796], [199, 200], list(range(150, 650)), [3, 399, 400, 1201, 1796]):
        found = table_reader.rows(np.array(numbers), ["p10", "label"])
        assert found.equals(table.select(["p10", "label"]).take(numbers))
    assert table_reader.columns(["label", "p10", "label"]).equals(table.select(["label", "p10"]))


def test_a_set_that_fits_is_trained_as_it_was_without_a_limit(digits: Path, tmp_path: Path) -> None:
    without = ran(spec_of(), digits, tmp_path / "a")
    within = ran(spec_of(), digits, tmp_path / "b", data_memory_bytes=2_000_000)
    assert reported(without) == reported(within)
    assert digest(without) == digest(within)


def test_a_larger_set_is_the_same_dataset_and_trains_as_well(
    chunked: Path, digits: Path, tmp_path: Path
) -> None:
    spec = spec_of()
    in_memory, encoding = load(spec, digits, 0)
    streamed, same = load(spec, chunked, SMALL)
    assert isinstance(streamed.train.x, StreamedFeatures)
    np.testing.assert_array_equal(streamed.train.y, in_memory.train.y)
    for part in ("train", "valid", "test"):
        mine, theirs = getattr(streamed, part), getattr(in_memory, part)
        np.testing.assert_allclose(mine.x[0 : len(mine)], theirs.x, rtol=1e-4, atol=1e-5)
    assert (same.features, same.classes) == (encoding.features, encoding.classes)
    ended = ran(spec, chunked, tmp_path / "s", data_memory_bytes=SMALL)[-1]
    assert isinstance(ended, TrainingEnded)
    assert ended.metrics["test/accuracy"] > 0.85


STEPS = [
    {"kind": "impute", "columns": ["gap"], "strategy": "median"},
    {"kind": "log", "columns": ["gap"]},
    {"kind": "min_max", "columns": ["gap"]},
    {"kind": "one_hot", "columns": ["word"]},
    {"kind": "ordinal", "columns": ["whole"]},
    {"kind": "standardize", "columns": ["picture"]},
    {"kind": "clip", "columns": ["wide"], "low_quantile": 0.1, "high_quantile": 0.9},
]


def mixed_table(rows: int = 500) -> pa.Table:
    rng = np.random.default_rng(1)
    gap = rng.exponential(size=rows)
    picture = rng.integers(0, 255, (rows, 6), np.uint8)
    return pa.table(
        {
            "gap": pa.array(gap, mask=gap < 0.2),
            "word": rng.choice(["a", "b", "c"], rows),
            "whole": rng.choice([3, 5, 8], rows),
            "picture": pa.FixedSizeListArray.from_arrays(pa.array(picture.reshape(-1)), 6),
            "wide": rng.normal(size=rows) * 9,
            "plain": rng.normal(size=rows) + 5,
            "y": rng.normal(size=rows),
        }
    )


def test_what_passes_over_blocks_teach_is_what_all_rows_at_once_teach(tmp_path: Path) -> None:
    path = tmp_path / "mixed.arrow"
    table = mixed_table()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=64)
    spec = spec_of(
        data={"target": "y", "prepare": STEPS, "query": "plain:>4 @sample:0.9 @seed:3"},
        network=[{"kind": "dense", "units": 1}],
        loss={"kind": "mean_squared_error"},
        metrics=[],
    )
    in_memory, encoding = load(spec, path, 0)
    streamed, other = load(spec, path, 20_000)
    assert isinstance(streamed.train.x, StreamedFeatures)
    assert streamed.valid is not None
    assert isinstance(streamed.valid.x, np.ndarray | StreamedFeatures)
    for part in ("train", "valid", "test"):
        mine, theirs = getattr(streamed, part), getattr(in_memory, part)
        np.testing.assert_allclose(mine.x[0 : len(mine)], theirs.x, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(mine.y, theirs.y)
    assert other.pipeline.dumps() == encoding.pipeline.dumps()
    for name, array in encoding.pipeline.arrays().items():
        np.testing.assert_allclose(other.pipeline.arrays()[name], array, rtol=1e-9)


def test_a_column_keeps_the_digits_that_float32_has_not(tmp_path: Path) -> None:
    time = 1.7e9 + np.random.default_rng(2).uniform(0, 600, 20_000)
    path = write(pa.table({"time": time, "plain": time - 1.7e9, "y": time}), tmp_path / "t.arrow")
    spec = spec_of(
        data={"target": "y"},
        network=[{"kind": "dense", "units": 1}],
        loss={"kind": "mean_squared_error"},
        metrics=[],
    )
    in_memory, encoding = load(spec, path, 0)
    streamed, same = load(spec, path, SMALL)
    assert isinstance(streamed.train.x, StreamedFeatures)
    assert [step.column for step in encoding.pipeline.steps] == ["time"]
    assert [step.column for step in same.pipeline.steps] == ["time"]
    x = streamed.train.x[0 : len(streamed.train)]
    np.testing.assert_allclose(x, in_memory.train.x, atol=1e-6)
    np.testing.assert_allclose(x[:, 0], x[:, 1], atol=1e-6)


def test_going_on_from_a_checkpoint_is_bit_equal_whatever_memory_there_is_then(
    chunked: Path, tmp_path: Path
) -> None:
    spec = spec_of(checkpoint={"every_steps": 17}, epochs=2)
    whole = ran(spec, chunked, tmp_path / "whole", data_memory_bytes=SMALL)
    saved = [e for e in whole if isinstance(e, CheckpointSaved)]
    assert len(saved) > 3
    for place, memory in zip(saved[1::2], (SMALL, 0, 10_000_000), strict=False):
        rest = ran(
            spec,
            chunked,
            tmp_path / "rest",
            resume=tmp_path / "whole" / place.path.rpartition("/")[2],
            data_memory_bytes=memory,
        )
        assert digest(rest) == digest(whole)
        ours = [m for m in reported(rest) if m[0] == "StepEnded"]
        assert ours == [m for m in reported(whole) if m[0] == "StepEnded"][-len(ours) :]
    assert (
        checkpoint.data_memory_bytes(checkpoint.read(tmp_path / "whole" / saved[0].path)) == SMALL
    )


def buffer_of(
    path: Path, batch: int = 30, window: int = SMALL, **more: Any
) -> tuple[StreamedFeatures, ShuffleBuffer]:
    table_reader = TableReader(path)
    names = tuple(n for n in table_reader.schema.names if n != "label")
    numbers = np.flatnonzero(np.arange(1797) % 5)
    features = StreamedFeatures(
        reader=table_reader,
        numbers=numbers,
        names=names,
        dtype=np.dtype("f4"),
        row_shape=(len(names),),
    )
    return features, ShuffleBuffer(features, batch, window, seed=7, epochs=3, **more)


def test_an_epoch_has_every_row_once_and_another_one_another_order(chunked: Path) -> None:
    features, buffer = buffer_of(chunked)
    whole = features[0 : len(features)]
    orders = []
    for epoch in range(2):
        batches = [buffer.batch(epoch, n) for n in range(-(-len(features) // 30))]
        places = np.concatenate([p for _, p in batches])
        np.testing.assert_array_equal(np.sort(places), np.arange(len(features)))
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), whole[places])
        orders.append(places)
    buffer.close()
    assert (orders[0] != orders[1]).mean() > 0.9
    # Mixed well: batches are not table_reader of the file.
    assert np.abs(np.diff(orders[0])).mean() > 50


def test_a_batch_depends_on_its_number_alone(chunked: Path) -> None:
    _, straight = buffer_of(chunked)
    _, jumping = buffer_of(chunked)
    expected = {n: straight.batch(1, n)[1].tolist() for n in range(48)}
    for number in (20, 3, 47, 3, 0):
        assert jumping.batch(1, number)[1].tolist() == expected[number]
    straight.close()
    jumping.close()


def test_rows_in_sequence_stay_in_sequence(chunked: Path) -> None:
    _, buffer = buffer_of(chunked, shuffled=False)
    places = np.concatenate([buffer.batch(0, n)[1] for n in range(48)])
    buffer.close()
    np.testing.assert_array_equal(places, np.arange(len(places)))


def test_a_batch_larger_than_a_window_is_refused(chunked: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="make batch_size smaller"):
        ran(spec_of(batch_size="full"), chunked, tmp_path / "x", data_memory_bytes=SMALL)


def test_a_cell_that_cannot_be_used_is_named_by_its_row(tmp_path: Path) -> None:
    path = tmp_path / "bad.arrow"
    table = pa.table({"a": np.arange(2000.0), "y": np.arange(2000.0)})
    a = table.column("a").to_numpy().copy()
    a[1500] = -7
    table = table.set_column(0, "a", pa.array(a))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=300)
    spec = spec_of(
        data={
            "target": "y",
            "prepare": [{"kind": "log"}],
            "standardize": False,
            "split": {"train": 1, "valid": 0, "test": 0},
        },
        network=[{"kind": "dense", "units": 1}],
        loss={"kind": "mean_squared_error"},
        metrics=[],
    )
    with pytest.raises(InvalidError, match="'a', row 1501, log: a logarithm"):
        ran(spec, path, tmp_path / "x", data_memory_bytes=5_000)


def test_a_stack_is_refused_rather_than_read_from_the_disk(chunked: Path) -> None:
    spec = spec_of()
    dataset, _ = load(spec, chunked, SMALL)
    with pytest.raises(StackError, match="one network"):
        Trainer([spec, spec], dataset, stacked_axis=True)


def test_validation_rows_that_are_too_many_are_read_as_well(chunked: Path, tmp_path: Path) -> None:
    spec = spec_of(data={"target": "label", "split": {"train": 0.3, "valid": 0.6, "test": 0.1}})
    dataset, _ = load(spec, chunked, SMALL)
    assert dataset.valid is not None
    assert isinstance(dataset.valid.x, StreamedFeatures)
    epochs = [
        e
        for e in ran(spec, chunked, tmp_path / "x", data_memory_bytes=SMALL)
        if isinstance(e, EpochEnded)
    ]
    assert epochs[-1].metrics["valid/accuracy"] > 0.7


def test_windows_leave_room_for_what_is_in_memory_anyway() -> None:
    def window(memory: int, rows: int) -> int:
        part = Part(None, np.zeros(rows), None, np.zeros(rows, np.int64))
        return Dataset(part, memory_bytes=memory).buffer_bytes

    assert window(10_000, 100) == 3_500
    assert window(10_000, 300) == int((10_000 - 16 * 300) * 0.45)
    assert 2 * window(10_000, 460) + 16 * 460 <= 10_000
    assert window(10_000, 10_000) == 1_250
