"""A dataset version that is used while it is still being copied to this machine.

Some columns are read from the store at once, without the rest of their chunks. All chunks follow,
in the order in which they are requested. The columns have no digest of their own, so they are
compared with each chunk, which has one, when it has arrived.
"""

import io
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

import pyarrow as pa

from core.data.storage.cache import Cache
from core.data.storage.local_copy import FETCHERS, Copy, Nearer, chunk_key
from core.data.storage.stores import Store
from core.data.table.chunks import Chunk, Manifest, batch_of
from core.data.table.reader import Arrival
from core.errors import ChainruleError, UnavailableError

READERS = 8

_LOOK_SECONDS = 0.01
_QUIET_SECONDS = 0.25
"""Time without a request after which other chunks are fetched."""


class Arriving:
    """Copies a version to this machine in the background, from `start` until it is complete.

    `arrival` is for `TableReader`; `failure` says why no more chunks will arrive.
    """

    def __init__(self, copy: Copy, store: Store, names: Sequence[str], folder: Path) -> None:
        """Read the columns `names` at once. Raises UnavailableError, NotFoundError."""
        assert copy.manifest is not None
        self._copy, self._manifest = copy, copy.manifest
        self.arrival = Arrival(folder / "columns.arrow", tuple(names), folder / "requests.json")
        self.failure: ChainruleError | None = None
        self.expected = len(copy.missing())
        _write_columns(store, self._manifest, names, self.arrival.columns)
        self._end = threading.Event()
        self._all = False
        self._quiet_at: float | None = None
        self._lock = threading.Lock()
        self._count = len(self._manifest.all())
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, chunk in enumerate(self._manifest.chunks):
            self._places[chunk.digest].append(place)
        self._taken: set[str] = set()
        self._here: set[str] = set()
        self._threads = [
            threading.Thread(target=self._bring, name="arriving", daemon=True)
            for _ in range(FETCHERS)
        ]

    def start(self) -> None:
        """Start the transfer."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Wait until the version is complete and equal to the columns that were read first.

        Raises `failure`.
        """
        self._all = True
        for thread in self._threads:
            thread.join()
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Stop after the chunks that are being fetched."""
        self._end.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _bring(self) -> None:
        while not self._end.is_set() and len(self._taken) < self._count:
            chunk = self._next()
            if chunk is None:
                self._end.wait(_LOOK_SECONDS)
                continue
            try:
                self._compare(chunk, self._copy.bring(chunk))
                self._here.add(chunk.digest)
            except Exception as error:
                # Any error must be reported, because training waits for this chunk.
                if not isinstance(error, ChainruleError):
                    error = UnavailableError(f"fetching failed: {type(error).__name__}")
                self.failure = error
                self._end.set()

    def _compare(self, chunk: Chunk, path: Path) -> None:
        """Raise UnavailableError unless the columns read first equal those of the chunk."""
        schema = self._manifest.schema
        with pa.memory_map(str(self.arrival.columns)) as some, pa.memory_map(str(path)) as all_:
            ahead = pa.ipc.open_file(some)
            whole = batch_of(all_.read_buffer(), schema).select(ahead.schema.names).serialize()
            for place in self._places[chunk.digest]:
                if ahead.get_batch(place).serialize() != whole:
                    raise UnavailableError(
                        f"the store gave other bytes for columns {', '.join(self.arrival.names)} "
                        f"of chunk {chunk.digest[:12]} than the chunk has"
                    )

    def _next(self) -> Chunk | None:
        """The chunk to fetch next: a requested one, or else the first that is missing.

        None while requested chunks are being fetched, for a short time after that, and before the
        first request: the connection is left to what training waits for.
        """
        with self._lock:
            chunks, places = self._manifest.chunks, self.arrival.requested()
            if places is None and not self._all:
                return None
            asked = [chunks[place] for place in places or () if place < len(chunks)]
            urgent = not all(chunk.digest in self._here for chunk in asked)
            if not urgent and not self._quiet():
                return None
            for chunk in asked if urgent else chunks:
                if chunk.digest not in self._taken:
                    self._taken.add(chunk.digest)
                    self._quiet_at = None if urgent else self._quiet_at
                    return chunk
        return None

    def _quiet(self) -> bool:
        """Whether requested chunks arrived some time ago."""
        self._quiet_at = self._quiet_at or time.monotonic()
        return self._all or time.monotonic() - self._quiet_at > _QUIET_SECONDS


def arriving(
    cache: Cache,
    store: Store,
    digest: str,
    names: Sequence[str],
    folder: Path,
    nearer: Nearer | None = None,
) -> tuple[Copy, Arriving | None]:
    """The local copy of a version, and its transfer unless it is complete or has no chunks."""
    copy = Copy(cache, store, digest, nearer)
    try:
        if not copy.missing():
            return copy, None
        return copy, Arriving(copy, store, names, folder)
    except BaseException:
        copy.close()
        raise


def _write_columns(store: Store, manifest: Manifest, names: Sequence[str], target: Path) -> None:
    """Write some columns of a version in the store to a local Arrow file."""
    places = [manifest.schema.get_field_index(name) for name in dict.fromkeys(names)]
    options = pa.ipc.IpcReadOptions(included_fields=sorted(places))
    own = threading.local()

    def read(place: int) -> pa.RecordBatch:
        if not hasattr(own, "reader"):
            remote = pa.PythonFile(_Remote(store, manifest), "r")
            own.reader = pa.ipc.open_file(remote, options=options)
        return own.reader.get_batch(place)

    with ThreadPoolExecutor(READERS) as pool, pa.OSFile(str(target), "wb") as sink:
        first, *rest = pool.map(read, range(len(manifest.chunks)))
        with pa.ipc.new_file(sink, first.schema) as writer:
            for batch in (first, *rest):
                writer.write_batch(batch)


class _Remote(io.RawIOBase):
    """The canonical file of a version in the store; only the bytes that are read are fetched."""

    def __init__(self, store: Store, manifest: Manifest) -> None:
        super().__init__()
        self._store, self._manifest = store, manifest
        sizes = [len(manifest.head), *(chunk.size for chunk in manifest.chunks), len(manifest.tail)]
        self._ends = list(accumulate(sizes))
        self._starts = [0, *self._ends[:-1]]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._manifest.size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = self._manifest.size - self._at
        left = left if size < 0 else min(size, left)
        parts = []
        while left > 0:
            part = self._piece(left)
            parts.append(part)
            self._at += len(part)
            left -= len(part)
        return b"".join(parts)

    def _piece(self, most: int) -> bytes:
        """At most `most` bytes, from one part of the file."""
        place = bisect_right(self._ends, self._at)
        start = self._at - self._starts[place]
        size = min(most, self._ends[place] - self._at)
        if place == 0:
            return self._manifest.head[start : start + size]
        if place == len(self._ends) - 1:
            return self._manifest.tail[start : start + size]
        key = chunk_key(self._manifest.chunks[place - 1].digest)
        return self._store.get_range(key, start, size)
