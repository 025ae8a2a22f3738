"""Mean 0 and deviation 1."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import numpy as np

from core.data.prepare.moments import Moments, divisor
from core.data.prepare.preparation import Cells, Columns, Learned, Preparation, present
from core.errors import InvalidError
from core.family import member


@member
class Standardize(Preparation):
    """`(x - mean) / deviation`, with mean and deviation of the training rows.

    Of a column of arrays all elements share one mean and one deviation. A column that never
    varies is only shifted.
    """

    finishes: ClassVar[bool] = True

    kind: Literal["standardize"] = "standardize"
    columns: Columns = ()

    def learn(self, cells: Cells) -> Learned:
        values = present(cells)
        mean = np.array(values.mean())
        return Learned({"mean": mean, "scale": divisor(mean, np.array(values.std()), len(values))})

    def learn_blocks(self, blocks: Iterable[Cells]) -> Learned:
        moments = Moments()
        for cells in blocks:
            flat = cells.reshape(-1)
            moments.add(flat[~np.isnan(flat)], (0,))
        if not moments.count:
            raise InvalidError("all training rows are empty")
        scale = divisor(moments.mean, moments.deviation, moments.count)
        return Learned({"mean": moments.mean, "scale": scale})

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        moved: Cells = (cells - learned.arrays["mean"]) / learned.arrays["scale"]
        return np.asarray(moved, cells.dtype)

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        yield cls(), np.array([1.0, 2.0, 4.0, 9.0])
        yield cls(), np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        yield cls(), np.full(5, 0.1)
