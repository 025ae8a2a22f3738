"""A stored dataset version as rows: whole, or a range at a time, memory-mapped while it is read."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.table.chunks import SUFFIX, Chunk, Manifest, batch_of
from core.errors import InvalidError, NotFoundError

POLL_SECONDS = 0.01

ReadBatch = Callable[[int], pa.RecordBatch]


@dataclass(frozen=True)
class Arrival:
    """Where a version is read from while it is still being copied to this machine.

    `columns` is an Arrow file with the columns `names` of all rows. The reader writes into
    `requests` which chunks it needs next.
    """

    columns: Path
    names: tuple[str, ...]
    requests: Path

    def request(self, positions: Sequence[int]) -> None:
        """Write down the chunks that are needed next, by their position in the version."""
        partial = self.requests.with_name(f"{self.requests.name}.partial")
        partial.write_text(json.dumps(positions))
        partial.replace(self.requests)

    def requested(self) -> list[int] | None:
        """The positions of the last request; None before the first one."""
        try:
            positions: list[int] = json.loads(self.requests.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return positions


def load(path: Path) -> pa.Table:
    """All rows of the canonical file or manifest at `path`, memory-mapped: nothing is copied.

    Raises NotFoundError when there is no such file, InvalidError when the file is incomplete.
    """
    return TableReader(path).table()


class TableReader:
    """Reads the rows of the canonical file or manifest at `path`, numbered from 0.

    `rows` and `batches` map only the record batches they read, so a version may be larger than
    memory and address space. Raises NotFoundError when there is no such file, InvalidError when the
    file is incomplete.
    """

    def __init__(self, path: Path, arrival: Arrival | None = None) -> None:
        """With `arrival` the reader requests chunks that are missing and waits for them."""
        if not path.exists():
            raise NotFoundError(f"there is no dataset file {path.name}")
        opened = _open_chunks(path) if path.suffix == SUFFIX else _open_file(path)
        self.schema, sizes, self._read = opened
        self._arrival = arrival
        self._requested: tuple[int, ...] = ()
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows as record batches, in stored order."""
        for position in range(len(self._starts) - 1):
            yield self._batch(position)

    def table(self) -> pa.Table:
        """All rows and columns, memory-mapped."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all rows, copied into memory."""
        unique = list(dict.fromkeys(names))
        if self._arrival is not None and set(unique) <= set(self._arrival.names):
            with pa.OSFile(str(self._arrival.columns), "rb") as source:
                return pa.ipc.open_file(source).read_all().select(unique)
        copies = []
        for batch in self.batches():
            selected = batch.select(unique)
            copies.append(selected.take(pa.array(np.arange(selected.num_rows))))
        schema = pa.schema([self.schema.field(name) for name in unique])
        return pa.Table.from_batches(copies, schema)

    def rows(self, numbers: NDArray[np.int64], names: Sequence[str]) -> pa.Table:
        """Some columns of the rows `numbers`, which must ascend."""
        first, last = int(numbers[0]), int(numbers[-1]) + 1
        low = int(np.searchsorted(self._starts, first, side="right")) - 1
        high = int(np.searchsorted(self._starts, last, side="left"))
        parts = []
        for position in range(low, high):
            start, end = int(self._starts[position]), int(self._starts[position + 1])
            begin, stop = np.searchsorted(numbers, [start, end])
            chosen = numbers[begin:stop] - start
            if not len(chosen):
                continue
            batch = self._batch(position).select(list(names))
            if len(chosen) == chosen[-1] - chosen[0] + 1:
                parts.append(batch.slice(int(chosen[0]), len(chosen)))
            else:
                parts.append(batch.take(pa.array(chosen)))
        return pa.Table.from_batches(parts)

    def request(self, numbers: NDArray[np.int64]) -> None:
        """Announce that these rows are needed next, in this order."""
        if self._arrival is not None:
            positions = np.searchsorted(self._starts, numbers, side="right") - 1
            self._request(tuple(dict.fromkeys(positions.tolist())))

    def _batch(self, position: int) -> pa.RecordBatch:
        while True:
            try:
                return self._read(position)
            except NotFoundError:
                if self._arrival is None:
                    raise
            if position not in self._requested:
                self._request((position,))
            time.sleep(POLL_SECONDS)

    def _request(self, positions: tuple[int, ...]) -> None:
        assert self._arrival is not None
        if positions != self._requested:
            self._requested = positions
            self._arrival.request(positions)


def _open_chunks(path: Path) -> tuple[pa.Schema, list[int], ReadBatch]:
    """Schema, rows of each chunk and a reader of chunks; the cache of the manifest has them."""
    manifest = Manifest.loads(path.read_bytes())
    schema, objects = manifest.schema, path.parent.parent / "objects"
    sizes = [chunk.rows for chunk in manifest.chunks]
    return schema, sizes, lambda position: _chunk(objects, manifest.chunks[position], schema)


def _chunk(objects: Path, chunk: Chunk, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a chunk in the folder `objects`, memory-mapped."""
    try:
        with pa.memory_map(str(objects / chunk.digest[:2] / chunk.digest), "r") as source:
            return batch_of(source.read_buffer(), schema)
    except FileNotFoundError as error:
        raise NotFoundError(f"chunk {chunk.digest[:12]} of the dataset is missing") from error


def _open_file(path: Path) -> tuple[pa.Schema, list[int], ReadBatch]:
    """Schema, rows of each record batch and a reader of batches of a canonical file."""
    try:
        file = pa.ipc.open_file(pa.memory_map(str(path), "r"))
        batches = range(file.num_record_batches)
        sizes = [file.get_batch(position).num_rows for position in batches]
    except pa.ArrowInvalid as error:
        raise InvalidError(f"{path.name} is not a whole Arrow file: {error}") from error
    return file.schema, sizes, file.get_batch
