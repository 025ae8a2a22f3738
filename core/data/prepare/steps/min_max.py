"""Smallest and largest value to given ends."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import numpy as np

from core.data.prepare.preparation import Cells, Columns, Learned, Preparation, present
from core.errors import InvalidError
from core.family import member


@member
class MinMax(Preparation):
    """From `low` for the smallest value of the training rows to `high` for the largest.

    Later rows may lie beyond. A column that never varies becomes `low`.
    """

    finishes: ClassVar[bool] = True

    kind: Literal["min_max"] = "min_max"
    columns: Columns = ()
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError("low must be below high")

    def learn(self, cells: Cells) -> Learned:
        values = present(cells)
        return self._between(values.min(), values.max())

    def learn_blocks(self, blocks: Iterable[Cells]) -> Learned:
        ends = np.array([np.inf, -np.inf])
        for cells in blocks:
            numbers = cells[~np.isnan(cells)].astype(np.float64)
            ends[0], ends[1] = numbers.min(initial=ends[0]), numbers.max(initial=ends[1])
        if ends[0] > ends[1]:
            raise InvalidError("all training rows are empty")
        return self._between(ends[0], ends[1])

    def _between(self, minimum: np.float64, maximum: np.float64) -> Learned:
        extent = maximum - minimum
        factor = (self.high - self.low) / extent if extent > 0 else 0.0
        return Learned({"minimum": np.array(minimum), "factor": np.array(factor)})

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        scaled: Cells = (cells - learned.arrays["minimum"]) * learned.arrays["factor"] + self.low
        return np.asarray(scaled, cells.dtype)

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        yield cls(), np.array([1.0, 2.0, 4.0, 9.0])
        yield cls(low=-1.0), np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        yield cls(), np.full(5, 0.1)
