"""Limits for outliers."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from core.data.prepare.preparation import Cells, Columns, Learned, Preparation, present
from core.family import member

Share = Annotated[float, Ge(0), Le(1)]


@member
class Clip(Preparation):
    """What lies beyond an end becomes the end: `low` and `high`, or quantiles of the training rows.

    An end that is not given is the quantile; the quantiles 0 and 1 are the smallest and largest
    value of the training rows.
    """

    kind: Literal["clip"] = "clip"
    columns: Columns = ()
    low: float | None = None
    high: float | None = None
    low_quantile: Share = 0.0
    high_quantile: Share = 1.0

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low must not be above high")
        if self.low_quantile > self.high_quantile:
            raise ValueError("low_quantile must not be above high_quantile")

    def learn(self, cells: Cells) -> Learned:
        values = present(cells)
        low = np.quantile(values, self.low_quantile) if self.low is None else self.low
        high = np.quantile(values, self.high_quantile) if self.high is None else self.high
        return Learned(
            {"low": np.array(float(low)), "high": np.array(max(float(low), float(high)))}
        )

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        clipped = np.clip(cells, learned.arrays["low"], learned.arrays["high"])
        return clipped.astype(cells.dtype, copy=False)

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        yield cls(low=2.0), np.array([1.0, 2.0, 4.0, 9.0])
        yield (
            cls(low_quantile=0.1, high_quantile=0.9),
            np.arange(24, dtype=np.float32).reshape(8, 3),
        )
