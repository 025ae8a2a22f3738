"""Training begins while the data is still on its way, and ends as if all had been here."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.data.storage import local_copy
from core.data.storage.cache import Cache
from core.data.storage.progressive import Arriving, arriving
from core.data.storage.stores import Store, open_store
from core.data.table import chunks
from core.data.table.chunks import Manifest
from core.data.table.reader import TableReader
from core.errors import NotFoundError, UnavailableError
from core.events import StepEnded, TrainingEnded
from core.spec import JobSpec
from core.training.dataset import resident_columns
from core.training.loop import train

ROWS, WIDTH, CHUNK = 4000, 64, 100
MEMORY = 100_000

SPEC = JobSpec.model_validate(
    {
        "experiment": "e",
        "dataset": "d@1",
        "data": {
            "target": "label",
            "features": ["picture"],
            "prepare": [{"kind": "rescale"}],
            "query": "label:[0 TO 3]",
        },
        "network": [{"kind": "dense", "units": 8}, {"kind": "relu"}, {"kind": "dense", "units": 4}],
        "loss": {"kind": "cross_entropy"},
        "batch_size": 20,
        "epochs": 2,
        "report_steps": 1,
    }
)


class Gate(Store):
    """A store that gives out so many chunks and then only when somebody lets it."""

    def let(self, count: int, *, without: str = "", spoilt: str = "") -> "Gate":
        self.turns = threading.Semaphore(count)
        self.given, self.asked_bytes, self.without, self.spoilt = 0, 0, without, spoilt
        return self

    def open(self, key: str, start: int = 0) -> Any:
        if key.startswith("chunks/"):
            assert self.turns.acquire(timeout=120)
            self.given += 1
            if self.without and self.without in key:
                raise NotFoundError("gone")
        return super().open(key, start)

    def get_range(self, key: str, start: int, size: int) -> bytes:
        self.asked_bytes += size
        found = super().get_range(key, start, size)
        if self.spoilt and self.spoilt in key and size == CHUNK * 8:  # its labels
            return bytes([found[0] ^ 1]) + found[1:]
        return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    """A store with a version of 40 chunks, and its digest."""
    folder = tmp_path_factory.mktemp("kept")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, ROWS)
    pictures = (rng.integers(0, 100, (ROWS, WIDTH)) + 30 * labels[:, None]).astype(np.uint8)
    table = pa.table(
        {
            "picture": pa.FixedSizeListArray.from_arrays(pa.array(pictures.reshape(-1)), WIDTH),
            "label": labels,
        }
    )
    path = folder / "whole.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=CHUNK)
    manifest = chunks.cut(path, chunks.sha256(path.read_bytes()))
    store = open_store(f"file://{folder / 'store'}")
    store.put_bytes(manifest.dumps(), local_copy.manifest_key(manifest.digest))
    for chunk, content in chunks.contents(path, manifest):
        store.put_bytes(content, local_copy.chunk_key(chunk.digest))
    return store, manifest


def gate_of(store: Store, count: int, **more: Any) -> Gate:
    return Gate(store._files, store._root, store.url).let(count, **more)


def pump(gate: Gate, coming: Arriving, root: Path, ended: threading.Event) -> None:
    """Let a chunk through whenever one that is asked for is not here."""
    released = 0
    while not ended.is_set():
        places = coming.arrival.requested() or ()
        asked = [coming._manifest.chunks[place].digest for place in places]
        lacking = [d for d in asked if not (root / "objects" / d[:2] / d).exists()]
        if lacking and gate.given == released:
            released += 1
            gate.turns.release()
        time.sleep(0.002)


def test_the_first_batch_does_not_wait_for_the_last_chunk(
    kept: tuple[Store, Manifest], tmp_path: Path
) -> None:
    store, manifest = kept
    gate = gate_of(store, 0)
    copy, coming = arriving(
        Cache(tmp_path / "a"), gate, manifest.digest, resident_columns(SPEC), tmp_path
    )
    assert coming is not None
    assert coming.expected == 40
    assert gate.given == 0
    assert gate.asked_bytes < manifest.size * 0.25  # labels, and where they lie
    coming.start()
    ended = threading.Event()
    pumping = threading.Thread(target=pump, args=(gate, coming, tmp_path / "a", ended), daemon=True)
    pumping.start()
    events = train(SPEC, copy.path, tmp_path, data_memory_bytes=MEMORY, arrival=coming.arrival)
    found = []
    for event in events:
        if isinstance(event, StepEnded) and not ended.is_set():
            ended.set()
            pumping.join()
            assert gate.given < 30
            gate.turns.release(1000)
        found += [event] if event is not None else []
    assert gate.given == 40
    coming.close()
    last = found[-1]
    assert isinstance(last, TrainingEnded)
    again = [e for e in train(SPEC, copy.path, tmp_path, data_memory_bytes=MEMORY) if e is not None]
    assert isinstance(again[-1], TrainingEnded)
    assert again[-1].weights_digest == last.weights_digest
    assert again[-1].metrics == last.metrics
    copy.verify()
    copy.close()
    copy, nothing = arriving(Cache(tmp_path / "a"), gate, manifest.digest, ["label"], tmp_path)
    assert nothing is None
    copy.close()


def test_what_is_asked_for_comes_first(kept: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, manifest = kept
    gate = gate_of(store, 0)
    copy, coming = arriving(Cache(tmp_path / "a"), gate, manifest.digest, ["label"], tmp_path)
    assert coming is not None
    reader = TableReader(copy.path, coming.arrival)
    coming.start()
    assert coming.arrival.requested() is None
    gate.turns.release(2)
    reader.request(np.array([3950, 2510, 2511]))
    assert coming.arrival.requested() == [39, 25]
    assert reader.rows(np.array([2511, 3950]), ["picture"]).num_rows == 2
    assert reader.columns(["label"]).num_rows == ROWS
    gate.turns.release(1000)
    assert reader.table().num_rows == ROWS
    coming.close()
    copy.close()


def test_a_chunk_that_cannot_come_is_reported(kept: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, manifest = kept
    gate = gate_of(store, 1000, without=manifest.chunks[7].digest)
    copy, coming = arriving(Cache(tmp_path / "a"), gate, manifest.digest, ["label"], tmp_path)
    assert coming is not None
    coming.start()
    with pytest.raises(NotFoundError):
        coming.finish()
    assert isinstance(coming.failure, NotFoundError)
    assert isinstance(copy.path, Path)
    coming.close()
    copy.close()


def test_columns_read_at_once_are_held_against_their_chunks(
    kept: tuple[Store, Manifest], tmp_path: Path
) -> None:
    store, manifest = kept
    for number, spoilt in enumerate(("", manifest.chunks[31].digest)):
        gate, folder = gate_of(store, 1000, spoilt=spoilt), tmp_path / str(number)
        folder.mkdir()
        cache = Cache(folder / "cache")
        copy, coming = arriving(cache, gate, manifest.digest, resident_columns(SPEC), folder)
        assert coming is not None
        coming.start()
        if spoilt:
            with pytest.raises(UnavailableError, match="other bytes for columns label"):
                coming.finish()
        else:
            coming.finish()
            assert gate.given == 40
        coming.close()
        copy.close()
