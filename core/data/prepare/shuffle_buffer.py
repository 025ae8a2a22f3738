"""Batches in a seeded order of rows that do not fit into memory: shuffled by blocks and windows.

The rows are cut into blocks that lie together. An epoch takes the blocks in a random order; so many
as make a window are read, and the rows of a window are shuffled as one. A thread reads the next
window while the rows of this one are trained on. Which rows a batch has depends on nothing but the
seed, the epoch, the number of the batch and the size of windows.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.prepare.lazy_features import Prepared
from core.data.split.permutation import permutation
from core.errors import InvalidError

BLOCK_BYTES = 2**20
SMALLER = (64, 8)
"""The first windows of an epoch are so many times smaller: training need not wait long for them."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """The blocks of each window of an epoch, and the place of its first row in the epoch."""

    blocks: tuple[Numbers, ...]
    starts: Numbers


@dataclass(frozen=True)
class Window:
    """Rows in memory: their features, their places among all rows, and their order."""

    x: NDArray[Any]
    places: Numbers
    order: Numbers


class Windows:
    """The batches of every epoch over `features`; two windows of `window_bytes` are in memory.

    Raises InvalidError for batches that are larger than a window.
    """

    def __init__(
        self,
        features: Prepared,
        batch_size: int,
        window_bytes: int,
        *,
        seed: int,
        shuffled: bool = True,
        epochs: int,
    ) -> None:
        self._features = features
        self._batch_size = batch_size
        self._seed = seed
        self._shuffled = shuffled
        self._epochs = epochs
        row_bytes = max(1, features.row_bytes)
        if batch_size * row_bytes > window_bytes:
            raise InvalidError(
                f"a batch of {batch_size:,} rows takes {batch_size * row_bytes:,} bytes; of rows "
                f"that do not fit into memory it may take {window_bytes:,}: make batch_size smaller"
            )
        self._block_rows = max(1, min(BLOCK_BYTES, window_bytes // 8) // row_bytes)
        self._window_blocks = max(1, window_bytes // (row_bytes * self._block_rows))
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="windows")
        self._plans: dict[int, Plan] = {}
        self._here: tuple[tuple[int, int], Window] | None = None
        self._coming: tuple[tuple[int, int], Future[Window]] | None = None
        self._given: tuple[tuple[int, int], tuple[NDArray[Any], Numbers]] | None = None

    def batch(self, epoch: int, number: int) -> tuple[NDArray[Any], Numbers]:
        """Features of batch `number` of an epoch, and the places of its rows among all rows.

        Quick when batches are asked for in order; any other batch is read first. Raises
        InvalidError naming column and row of what cannot be used.
        """
        if self._given is None or self._given[0] != (epoch, number):
            self._given = (epoch, number), self._gather(epoch, number)
        return self._given[1]

    def close(self) -> None:
        """Read no further, and let go of what was read."""
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._here = self._coming = self._given = None

    def _gather(self, epoch: int, number: int) -> tuple[NDArray[Any], Numbers]:
        plan = self._plan(epoch)
        start = number * self._batch_size
        stop = min(start + self._batch_size, len(self._features))
        parts, places = [], []
        while start < stop:
            place = int(np.searchsorted(plan.starts, start, side="right")) - 1
            first = int(plan.starts[place])
            window = self._window(epoch, place)
            chosen = window.order[start - first : stop - first]
            parts.append(window.x[chosen])
            places.append(window.places[chosen])
            start += len(chosen)
        if len(parts) == 1:
            return parts[0], places[0]
        return np.concatenate(parts), np.concatenate(places)

    def _window(self, epoch: int, place: int) -> Window:
        """The window, which this waits for; the one after it is then read ahead."""
        key = epoch, place
        if self._here is not None and self._here[0] == key:
            return self._here[1]
        self._here = None  # before another is read: there is memory for two
        coming, self._coming = self._coming, None
        if coming is None or coming[0] != key:
            if coming is not None:
                coming[1].cancel()
            coming = key, self._reader.submit(self._read, epoch, place)
        window = coming[1].result()
        self._here = key, window
        last = place + 1 == len(self._plan(epoch).blocks)
        after = (epoch + 1, 0) if last else (epoch, place + 1)
        if after[0] < self._epochs:
            self._coming = after, self._reader.submit(self._read, *after)
        return window

    def _read(self, epoch: int, place: int) -> Window:
        blocks = self._plan(epoch).blocks[place]
        rows = len(self._features)
        starts = blocks * self._block_rows
        stops = np.minimum(starts + self._block_rows, rows)
        places = np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])
        self._features.want(places)
        x = np.empty((len(places), *self._features.row_shape), self._features.dtype)
        filled = 0
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            x[filled : filled + stop - start] = self._features[start:stop]
            filled += stop - start
        order = np.arange(len(places))
        if self._shuffled:
            order = permutation(len(places), self._seed, "window", epoch, place)
        return Window(x, places, order)

    def _plan(self, epoch: int) -> Plan:
        """Which blocks make up the windows of an epoch."""
        known = self._plans
        if epoch in known:
            return known[epoch]
        rows = len(self._features)
        count = -(-rows // self._block_rows)
        order: Numbers = np.arange(count)
        if self._shuffled:
            order = permutation(count, self._seed, "blocks", epoch)
        ramp = accumulate(max(1, self._window_blocks // share) for share in SMALLER)
        cuts = [0, *(min(end, count) for end in ramp)]
        cuts += [*range(cuts[-1] + self._window_blocks, count, self._window_blocks), count]
        blocks = tuple(order[a:b] for a, b in pairwise(cuts) if b > a)
        lengths = np.minimum((order + 1) * self._block_rows, rows) - order * self._block_rows
        ends = np.concatenate([[0], np.cumsum(lengths)])
        starts = ends[np.cumsum([0, *map(len, blocks)])[:-1]]
        plan = Plan(blocks, starts)
        # Anew, not in place: both threads come here.
        self._plans = {key: one for key, one in known.items() if key >= epoch - 1} | {epoch: plan}
        return plan
