"""The rows of a dataset version a stretch at a time, mapped only while they are read.

However large the version is, neither memory nor address space need more than a stretch and the
columns that somebody asks for whole.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.table import memory_map
from core.data.table.chunks import SUFFIX, Manifest
from core.errors import InvalidError, NotFoundError

_LOOK_SECONDS = 0.01

ReadBatch = Callable[[int], pa.RecordBatch]


@dataclass(frozen=True)
class Arrival:
    """Where a version stands that is still on its way to this machine.

    `columns` is an Arrow file of all rows with the columns `names`; into `wanted` goes which chunks
    should come next.
    """

    columns: Path
    names: tuple[str, ...]
    wanted: Path

    def ask(self, places: Sequence[int]) -> None:
        """Note the chunks that are needed next, by their numbers."""
        partial = self.wanted.with_name(f"{self.wanted.name}.partial")
        partial.write_text(json.dumps(places))
        partial.replace(self.wanted)

    def asked(self) -> list[int] | None:
        """What was noted last; None before anything was."""
        try:
            found: list[int] = json.loads(self.wanted.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return found


class Stretches:
    """The rows of the canonical file or manifest at `path`, numbered from 0.

    Raises NotFoundError when there is no such file, InvalidError when it is not whole.
    """

    def __init__(self, path: Path, arrival: Arrival | None = None) -> None:
        """With `arrival` chunks that are not here yet are waited for, and asked for first."""
        if not path.exists():
            raise NotFoundError(f"there is no dataset file {path.name}")
        self.path = path
        opened = _chunks(path) if path.suffix == SUFFIX else _file(path)
        self.schema, sizes, self._read = opened
        self._arrival = arrival
        self._asked: tuple[int, ...] = ()
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, as they are stored."""
        for number in range(len(self._starts) - 1):
            yield self._batch(number)

    def whole(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all rows, in memory."""
        wanted = list(dict.fromkeys(names))
        if self._arrival is not None and set(wanted) <= set(self._arrival.names):
            with pa.OSFile(str(self._arrival.columns), "rb") as source:
                return pa.ipc.open_file(source).read_all().select(wanted)
        kept = []
        for batch in self.batches():
            some = batch.select(wanted)
            kept.append(some.take(pa.array(np.arange(some.num_rows))))  # a copy, not the map
        schema = pa.schema([self.schema.field(name) for name in wanted])
        return pa.Table.from_batches(kept, schema)

    def rows(self, numbers: NDArray[np.int64], names: Sequence[str]) -> pa.Table:
        """Some columns of the rows `numbers`, which ascend."""
        first, last = int(numbers[0]), int(numbers[-1]) + 1
        low = int(np.searchsorted(self._starts, first, side="right")) - 1
        high = int(np.searchsorted(self._starts, last, side="left"))
        wanted = list(names)
        parts = []
        for place in range(low, high):
            start, end = int(self._starts[place]), int(self._starts[place + 1])
            begin, stop = np.searchsorted(numbers, [start, end])
            chosen = numbers[begin:stop] - start
            if not len(chosen):
                continue
            batch = self._batch(place).select(wanted)
            if len(chosen) == chosen[-1] - chosen[0] + 1:
                parts.append(batch.slice(int(chosen[0]), len(chosen)))
            else:
                parts.append(batch.take(pa.array(chosen)))
        return pa.Table.from_batches(parts)

    def want(self, numbers: NDArray[np.int64]) -> None:
        """Say that these rows are needed next, in this order."""
        if self._arrival is not None:
            places = np.searchsorted(self._starts, numbers, side="right") - 1
            self._ask(tuple(dict.fromkeys(places.tolist())))

    def wait(self) -> None:
        """Wait until all rows are here."""
        for _ in self.batches() if self._arrival is not None else ():
            pass

    def _batch(self, place: int) -> pa.RecordBatch:
        while True:
            try:
                return self._read(place)
            except NotFoundError:
                if self._arrival is None:
                    raise
            if place not in self._asked:
                self._ask((place,))
            time.sleep(_LOOK_SECONDS)

    def _ask(self, places: tuple[int, ...]) -> None:
        assert self._arrival is not None
        if places != self._asked:
            self._asked = places
            self._arrival.ask(places)


def _chunks(path: Path) -> tuple[pa.Schema, list[int], ReadBatch]:
    manifest = Manifest.loads(path.read_bytes())
    schema, objects = manifest.schema, path.parent.parent / "objects"
    sizes = [one.rows for one in manifest.chunks]
    return schema, sizes, lambda place: memory_map.batch(objects, manifest.chunks[place], schema)


def _file(path: Path) -> tuple[pa.Schema, list[int], ReadBatch]:
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path), "r"))
        count = reader.num_record_batches
        sizes = [reader.get_batch(place).num_rows for place in range(count)]
    except pa.ArrowInvalid as error:
        raise InvalidError(f"{path.name} is not a whole Arrow file: {error}") from error
    return reader.schema, sizes, reader.get_batch
