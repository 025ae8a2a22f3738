"""Division by a known number."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt

from core.data.prepare.preparation import Cells, Columns, Learned, Preparation
from core.family import member


@member
class Rescale(Preparation):
    """`x / divisor`: pixels from 0 to 255 become numbers from 0 to 1."""

    finishes: ClassVar[bool] = True
    learns: ClassVar[bool] = False

    kind: Literal["rescale"] = "rescale"
    columns: Columns = ()
    divisor: Annotated[float, Gt(0)] = 255.0

    def learn(self, cells: Cells) -> Learned:
        return Learned()

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        scaled: Cells = cells / cells.dtype.type(self.divisor)
        return scaled

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        yield cls(), np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        yield cls(divisor=16.0), np.array([1.0, 16.0])
