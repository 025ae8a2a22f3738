"""A made-up set of pictures in a store, and stores that count and throttle what is read."""

import hashlib
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.data.ingest.format import rows_at_once
from core.data.storage import local_copy
from core.data.storage.cache import Cache
from core.data.storage.stores import Reading, Store, open_store
from core.data.table import chunks
from core.data.table.tensors import tensor_field

SIDE = 28
PIXELS = SIDE * SIDE


def make(folder: Path, rows: int) -> str:
    """Keep `rows` pictures with labels in the store at `folder`; the digest of the version."""
    field = tensor_field("picture", pa.uint8(), (PIXELS,))
    schema = pa.schema([field, pa.field("label", pa.int64())])
    folder.mkdir(exist_ok=True)
    path, step = folder / "whole.arrow", rows_at_once(PIXELS + 8)
    rng = np.random.default_rng(0)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for start in range(0, rows, step):
            count = min(step, rows - start)
            labels = rng.integers(0, 10, count)
            pictures = rng.integers(0, 180, (count, PIXELS), np.uint8)
            pictures[:, :10] += (labels[:, None] == np.arange(10)).astype(np.uint8) * 70
            flat = pa.array(pictures.reshape(-1))
            column = pa.FixedSizeListArray.from_arrays(flat, type=field.type)
            writer.write_batch(pa.record_batch([column, pa.array(labels)], schema=schema))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest, store = chunks.cut(path, digest), store_at(folder)
    store.put_bytes(manifest.dumps(), local_copy.manifest_key(digest))
    for chunk, content in chunks.contents(path, manifest):
        store.put_bytes(content, local_copy.chunk_key(chunk.digest))
    path.unlink()
    return digest


def store_at(folder: Path) -> Store:
    """The store that `make` filled."""
    return open_store(f"file://{folder / 'store'}")


class Counting(Store):
    """A store that counts the bytes it gives out, and gives out so many a second (0: no limit)."""

    def __init__(self, store: Store, bytes_a_second: float = 0) -> None:
        super().__init__(store._files, store._root, store.url)
        self.given = 0
        self._rate = bytes_a_second
        self._free_at = time.monotonic()
        self._lock = threading.Lock()

    def give(self, size: int) -> None:
        """Count bytes, and wait until the line is free for them."""
        with self._lock:
            self.given += size
            if self._rate:
                self._free_at = max(self._free_at, time.monotonic()) + size / self._rate
            wait = self._free_at - time.monotonic()
        if self._rate and wait > 0:
            time.sleep(wait)

    def open(self, key: str, start: int = 0) -> Reading:
        """As of a store; reading counts."""
        return _Counted(self, super().open(key, start), key)

    def get_range(self, key: str, start: int, size: int) -> bytes:
        """As of a store."""
        self.give(size)
        return super().get_range(key, start, size)


def fetched(folder: Path, digest: str) -> int:
    """Bring the set into the cache of this machine; how many bytes this process moved for that."""
    store = Counting(store_at(folder))
    with local_copy.held(Cache(folder / "cache"), store, digest):
        return store.given


class _Counted(Reading):
    def __init__(self, store: Counting, inner: Any, key: str) -> None:
        super().__init__(inner, key)
        self._store = store

    def read(self, size: int = -1) -> bytes:
        block = super().read(size)
        self._store.give(len(block))
        return block

    def __exit__(self, *given: object) -> None:
        self._file.__exit__(*given)
