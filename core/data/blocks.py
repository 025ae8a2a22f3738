"""The stored record batches of a version, one at a time, also while they are still arriving."""

import time
from abc import ABC, abstractmethod
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import pyarrow as pa

from core.data.chunks import SUFFIX, Chunk, Manifest, batch_of
from core.errors import InvalidError, NotFoundError, UnavailableError

LOOK_SECONDS = 0.005
PATIENCE_SECONDS = 1200.0


def blocks(path: Path) -> "Blocks":
    """The blocks of the canonical file or manifest at `path`.

    Raises NotFoundError when there is no such file, InvalidError when it is not whole.
    """
    if not path.exists():
        raise NotFoundError(f"there is no dataset file {path.name}")
    return ChunkBlocks(path) if path.suffix == SUFFIX else FileBlocks(path)


class Blocks(ABC):
    """Rows in blocks, in order. Reading is safe from several threads."""

    schema: pa.Schema
    rows: tuple[int, ...]
    """Rows of each block."""

    @property
    @abstractmethod
    def narrow_schema(self) -> pa.Schema | None:
        """The columns that can be had without the others, or None."""

    @abstractmethod
    def batch(self, index: int, *, mapped: bool = False) -> pa.RecordBatch:
        """The rows of a block, in memory of their own or mapped from the file."""

    @abstractmethod
    def narrow(self) -> pa.Table:
        """All rows of the columns in `narrow_schema`."""

    @abstractmethod
    def here(self) -> bool:
        """Whether every block is on this machine."""

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The number of the first row of each block, and of the row after the last one."""
        return (0, *accumulate(self.rows))

    def table(self) -> pa.Table:
        """All rows, mapped from files; waits until every block is here."""
        batches = [self.batch(index, mapped=True) for index in range(len(self.rows))]
        return pa.Table.from_batches(batches, self.schema)


class FileBlocks(Blocks):
    """The record batches of one canonical Arrow file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pa.memory_map(str(path), "r") as source:
                reader = pa.ipc.open_file(source)
                self.schema = reader.schema
                count = range(reader.num_record_batches)
                self.rows = tuple(reader.get_batch(index).num_rows for index in count)
        except pa.ArrowInvalid as error:
            raise InvalidError(f"{path.name} is not a whole Arrow file: {error}") from error

    @property
    def narrow_schema(self) -> pa.Schema | None:
        return None

    def batch(self, index: int, *, mapped: bool = False) -> pa.RecordBatch:
        opened = pa.memory_map(str(self._path), "r") if mapped else pa.OSFile(str(self._path))
        with opened as source:
            return pa.ipc.open_file(source).get_batch(index)

    def table(self) -> pa.Table:
        with pa.memory_map(str(self._path), "r") as source:
            return pa.ipc.open_file(source).read_all()

    def narrow(self) -> pa.Table:
        return self.table()

    def here(self) -> bool:
        return True


class ChunkBlocks(Blocks):
    """Chunks in a cache, listed by a manifest beside it."""

    def __init__(self, path: Path) -> None:
        self.manifest = Manifest.loads(path.read_bytes())
        self._objects = path.parent.parent / "objects"
        self.schema = self.manifest.schema
        self.rows = tuple(one.rows for one in self.manifest.chunks)

    @property
    def narrow_schema(self) -> pa.Schema | None:
        return self.manifest.narrow_schema if self.manifest.narrow else None

    def batch(self, index: int, *, mapped: bool = False) -> pa.RecordBatch:
        return self._batch(self.manifest.chunks[index], self.schema, mapped=mapped)

    def narrow(self) -> pa.Table:
        schema = self.manifest.narrow_schema
        found = [self._batch(one, schema, mapped=False) for one in self.manifest.narrow]
        return pa.Table.from_batches(found, schema)

    def here(self) -> bool:
        return all(self._place(one).exists() for one in self.manifest.all())

    def _batch(self, chunk: Chunk, schema: pa.Schema, *, mapped: bool) -> pa.RecordBatch:
        path = self._place(chunk)
        until = time.monotonic() + PATIENCE_SECONDS
        while not path.exists():
            if time.monotonic() > until:
                raise UnavailableError("a part of the dataset did not arrive")
            time.sleep(LOOK_SECONDS)
        if not mapped:
            return batch_of(path.read_bytes(), schema)
        with pa.memory_map(str(path), "r") as source:
            return batch_of(source.read_buffer(), schema)

    def _place(self, chunk: Chunk) -> Path:
        return self._objects / chunk.digest[:2] / chunk.digest
