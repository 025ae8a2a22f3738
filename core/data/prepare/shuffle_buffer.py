"""Batches in a seeded order of rows that do not fit into memory: shuffled by blocks and buffers.

The rows are cut into blocks that are stored together. An epoch takes the blocks in a random order.
As many blocks as fill a buffer are read, and the rows of a buffer are shuffled as one. A thread
reads the next buffer while the rows of the current one are trained on. The rows of a batch depend
on nothing but the seed, the epoch, the number of the batch and the size of a buffer.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.prepare.features import StreamedFeatures
from core.data.split.permutation import permutation
from core.errors import InvalidError

BLOCK_BYTES = 2**20
RAMP = (64, 8)
"""How many times smaller the first buffers of an epoch are, so that training starts soon."""

Rows = NDArray[np.int64]
Batch = tuple[NDArray[Any], Rows]
Key = tuple[int, int]
"""An epoch, and the number of a buffer or a batch in it."""


@dataclass(frozen=True)
class Epoch:
    """The blocks of each buffer of an epoch, and the position of the buffer's first row in it."""

    blocks: tuple[Rows, ...]
    starts: Rows


@dataclass(frozen=True)
class Buffer:
    """Rows in memory: features, positions among all training rows, and their shuffled order."""

    x: NDArray[Any]
    positions: Rows
    order: Rows


class ShuffleBuffer:
    """The batches of every epoch over `features`; two buffers of `buffer_bytes` are in memory.

    Raises InvalidError when a batch is larger than a buffer.
    """

    def __init__(
        self,
        features: StreamedFeatures,
        batch_size: int,
        buffer_bytes: int,
        *,
        seed: int,
        shuffled: bool = True,
        epochs: int,
    ) -> None:
        """`batch_size` is in rows. Without `shuffled`, rows come in stored order."""
        self._features = features
        self._batch_size = batch_size
        self._seed = seed
        self._shuffled = shuffled
        self._epochs = epochs
        row_bytes = max(1, features.row_bytes)
        if batch_size * row_bytes > buffer_bytes:
            raise InvalidError(
                f"a batch of {batch_size:,} rows takes {batch_size * row_bytes:,} bytes; of rows "
                f"that do not fit into memory it may take {buffer_bytes:,}: make batch_size smaller"
            )
        self._block_rows = max(1, min(BLOCK_BYTES, buffer_bytes // 8) // row_bytes)
        self._buffer_blocks = max(1, buffer_bytes // (row_bytes * self._block_rows))
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="shuffle-buffer")
        self._plans: dict[int, Epoch] = {}
        self._current: tuple[Key, Buffer] | None = None
        self._next: tuple[Key, Future[Buffer]] | None = None
        self._last: tuple[Key, Batch] | None = None

    def batch(self, epoch: int, number: int) -> Batch:
        """The features of a batch, and the positions of its rows among all training rows.

        Fast when batches are requested in order; any other batch is read from the disk first.
        Raises InvalidError naming column and row when a cell cannot be used.
        """
        if self._last is None or self._last[0] != (epoch, number):
            self._last = (epoch, number), self._gather(epoch, number)
        return self._last[1]

    def close(self) -> None:
        """Stop reading and release the buffers."""
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._current = self._next = self._last = None

    def _gather(self, epoch: int, number: int) -> Batch:
        starts = self._plan(epoch).starts
        start = number * self._batch_size
        stop = min(start + self._batch_size, len(self._features))
        parts, positions = [], []
        while start < stop:
            index = int(np.searchsorted(starts, start, side="right")) - 1
            first = int(starts[index])
            buffer = self._buffer(epoch, index)
            chosen = buffer.order[start - first : stop - first]
            parts.append(buffer.x[chosen])
            positions.append(buffer.positions[chosen])
            start += len(chosen)
        if len(parts) == 1:
            return parts[0], positions[0]
        return np.concatenate(parts), np.concatenate(positions)

    def _buffer(self, epoch: int, index: int) -> Buffer:
        """A buffer, once it is read; reading of the buffer after it starts."""
        key = epoch, index
        if self._current is not None and self._current[0] == key:
            return self._current[1]
        self._current = None  # before another is read: there is memory for two
        pending, self._next = self._next, None
        if pending is None or pending[0] != key:
            if pending is not None:
                pending[1].cancel()
            pending = key, self._reader.submit(self._read, epoch, index)
        buffer = pending[1].result()
        self._current = key, buffer
        last = index + 1 == len(self._plan(epoch).blocks)
        after = (epoch + 1, 0) if last else (epoch, index + 1)
        if after[0] < self._epochs:
            self._next = after, self._reader.submit(self._read, *after)
        return buffer

    def _read(self, epoch: int, index: int) -> Buffer:
        blocks = self._plan(epoch).blocks[index]
        rows = len(self._features)
        starts = blocks * self._block_rows
        stops = np.minimum(starts + self._block_rows, rows)
        positions = np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])
        self._features.request(positions)
        x = np.empty((len(positions), *self._features.row_shape), self._features.dtype)
        filled = 0
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            x[filled : filled + stop - start] = self._features[start:stop]
            filled += stop - start
        order = np.arange(len(positions))
        if self._shuffled:
            order = permutation(len(positions), self._seed, "window", epoch, index)
        return Buffer(x, positions, order)

    def _plan(self, epoch: int) -> Epoch:
        """The blocks of each buffer of an epoch."""
        plans = self._plans
        if epoch in plans:
            return plans[epoch]
        rows = len(self._features)
        count = -(-rows // self._block_rows)
        order: Rows = np.arange(count)
        if self._shuffled:
            order = permutation(count, self._seed, "blocks", epoch)
        ramp = accumulate(max(1, self._buffer_blocks // share) for share in RAMP)
        cuts = [0, *(min(end, count) for end in ramp)]
        cuts += [*range(cuts[-1] + self._buffer_blocks, count, self._buffer_blocks), count]
        blocks = tuple(order[a:b] for a, b in pairwise(cuts) if b > a)
        lengths = np.minimum((order + 1) * self._block_rows, rows) - order * self._block_rows
        ends = np.concatenate([[0], np.cumsum(lengths)])
        starts = ends[np.cumsum([0, *map(len, blocks)])[:-1]]
        plan = Epoch(blocks, starts)
        # A new dictionary, because both threads read this one.
        self._plans = {key: known for key, known in plans.items() if key >= epoch - 1} | {
            epoch: plan
        }
        return plan
