"""How far a regression is off on rows it did not learn from: what intervals are made of.

Split conformal prediction (Lei et al. 2018, "Distribution-free predictive inference for
regression", section 2.2): of `n` errors on held out rows the one of rank `ceil((n + 1) * level)` is
not exceeded by the error on a further row of the same kind with probability `level` or more.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from core.errors import FieldError, InvalidError
from core.nn.array import Array
from core.nn.layer import Scope
from core.nn.loss import Loss
from core.nn.network import BoundNetwork
from core.training.dataset.types import Part
from core.training.evaluation import NUMBERS

ERRORS = "calibration.errors"
ROWS = "calibration.rows"
MOST_ROWS = 2**16
"""Held out rows that are looked at, the first ones."""
MOST_KEPT = 1000
"""Errors of one output that are kept, evenly by rank."""
MOST_NUMBERS = 2**18
"""Errors of all outputs that are kept; fewer ranks where there are many outputs."""


@dataclass(frozen=True)
class Calibration:
    """Absolute errors on `rows` held out rows: `errors (ranks, *outputs)`, ascending."""

    rows: int
    errors: Array

    @classmethod
    def of(cls, errors: Array) -> Self:
        """Keep what is needed of the absolute errors `(rows, *outputs)`."""
        rows, outputs = len(errors), max(1, math.prod(errors.shape[1:]))
        count = min(rows, MOST_KEPT, max(1, MOST_NUMBERS // outputs))
        return cls(rows, np.sort(errors, axis=0)[_ranks(rows, count) - 1])

    def radius(self, level: float) -> Array:
        """How far from the answer an interval of that level reaches, `outputs`.

        Raises InvalidError when so few rows were held out that none can be promised.
        """
        rank = math.ceil((self.rows + 1) * level - 1e-9)  # 0.9 * 10 is to be 9
        if rank > self.rows:
            most = self.rows / (self.rows + 1)
            message = (
                f"the {self.rows} rows that were held out allow a level of {most:.3g} at most: "
                "train with a larger data.split.valid or data.split.test"
            )
            raise InvalidError(f"interval: {message}", [FieldError("interval", message)])
        ranks = _ranks(self.rows, len(self.errors))
        found: Array = self.errors[np.searchsorted(ranks, rank)]
        return found

    def arrays(self) -> dict[str, Array]:
        """What a file keeps."""
        return {ERRORS: self.errors, ROWS: np.array([self.rows])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self | None:
        """What `arrays` gave; None when there was none."""
        return cls(int(arrays[ROWS][0]), arrays[ERRORS]) if ERRORS in arrays else None


def calibrate(network: BoundNetwork, loss: Loss, part: Part | None) -> Calibration | None:
    """Measure a trained network on held out rows; None when it learned no numbers, or has none."""
    if part is None or loss.target != "number":
        return None
    scope = Scope(np, network.dtype, (), network.output_shape)
    rows, found = min(len(part), MOST_ROWS), []
    size = max(1, NUMBERS // max(1, math.prod(part.x.shape[1:])))
    for start in range(0, rows, size):
        end = min(start + size, rows)
        y, _ = network.forward(np.asarray(part.x[start:end]))
        outputs = loss.prediction(y, scope)
        truth = np.asarray(part.y[start:end]).reshape(outputs.shape)
        found.append(np.abs(outputs - truth))
    return Calibration.of(np.concatenate(found))


def _ranks(rows: int, count: int) -> Array:
    """`count` of the ranks 1 to `rows`, evenly, the last one among them."""
    return np.ceil(np.arange(1, count + 1) * (rows / count) - 1e-9).astype(np.int64)
