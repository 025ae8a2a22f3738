"""Logarithm."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np

from core.data.prepare.preparation import CellError, Cells, Columns, Learned, Preparation
from core.family import member


@member
class Log(Preparation):
    """`log(x + offset)`: for amounts of which few are large. `x + offset` must be above 0."""

    learns: ClassVar[bool] = False

    kind: Literal["log"] = "log"
    columns: Columns = ()
    offset: float = 1.0

    def learn(self, cells: Cells) -> Learned:
        return Learned()

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        shifted = cells + cells.dtype.type(self.offset)
        wrong = (shifted <= 0).reshape(len(cells), -1).any(axis=1)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise CellError(
                row, f"a logarithm needs more than {-self.offset:g}, not {np.min(cells[row]):g}"
            )
        logarithms: Cells = np.log(shifted)
        return logarithms

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        yield cls(), np.array([0.0, 2.0, 4.0, 9.0])
        yield cls(offset=0.5), np.arange(24, dtype=np.float32).reshape(2, 3, 4)
