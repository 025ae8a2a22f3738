"""The errors of a regression on held-out rows, from which prediction intervals are made.

Split conformal prediction (Lei et al. 2018, "Distribution-free predictive inference for
regression", section 2.2): of `n` errors on held-out rows, the one of rank `ceil((n + 1) * level)`
bounds the error on a further exchangeable row with probability `level` or more.
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
from core.training.dataset_types import Part
from core.training.evaluation import NUMBERS

ERRORS = "calibration.errors"
ROWS = "calibration.rows"
MOST_ROWS = 2**16
"""The most held-out rows that are measured; the first ones are."""
MOST_KEPT = 1000
"""The most errors of one output that are stored, evenly spaced by rank."""
MOST_NUMBERS = 2**18
"""The most errors of all outputs that are stored."""


@dataclass(frozen=True)
class Calibration:
    """Absolute errors on `rows` held-out rows: `errors (ranks, *outputs)`, ascending."""

    rows: int
    errors: Array

    @classmethod
    def of(cls, errors: Array) -> Self:
        """Reduce the absolute errors `(rows, *outputs)` to those that are stored."""
        rows, outputs = len(errors), max(1, math.prod(errors.shape[1:]))
        count = min(rows, MOST_KEPT, max(1, MOST_NUMBERS // outputs))
        return cls(rows, np.sort(errors, axis=0)[_ranks(rows, count) - 1])

    def radius(self, level: float) -> Array:
        """The distance from the prediction to the ends of an interval of that level, `outputs`.

        Raises InvalidError when too few rows were held out for the level.
        """
        rank = math.ceil((self.rows + 1) * level - 1e-9)  # so that 0.9 * 10 gives 9
        if rank > self.rows:
            most = self.rows / (self.rows + 1)
            message = (
                f"the {self.rows} rows that were held out allow a level of {most:.3g} at most: "
                "train with a larger data.split.valid or data.split.test"
            )
            raise InvalidError.of(FieldError("interval", message))
        ranks = _ranks(self.rows, len(self.errors))
        radius: Array = self.errors[np.searchsorted(ranks, rank)]
        return radius

    def arrays(self) -> dict[str, Array]:
        """The arrays to store in a model file."""
        return {ERRORS: self.errors, ROWS: np.array([self.rows])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self | None:
        """The calibration that `arrays` returned; None when a file has none."""
        return cls(int(arrays[ROWS][0]), arrays[ERRORS]) if ERRORS in arrays else None


def calibrate(network: BoundNetwork, loss: Loss, part: Part | None) -> Calibration | None:
    """Measure a trained regression on held-out rows, in the units of the data.

    None for other targets, or without rows.
    """
    if part is None or loss.target != "number":
        return None
    scope = Scope(np, network.dtype, (), network.output_shape)
    rows, errors = min(len(part), MOST_ROWS), []
    size = max(1, NUMBERS // max(1, math.prod(part.x.shape[1:])))
    for start in range(0, rows, size):
        end = min(start + size, rows)
        y, _ = network.forward(np.asarray(part.x[start:end]))
        outputs = loss.prediction(y, scope)
        truth = np.asarray(part.y[start:end]).reshape(outputs.shape)
        errors.append(np.abs(part.in_units(outputs) - part.in_units(truth)))
    return Calibration.of(np.concatenate(errors))


def _ranks(rows: int, count: int) -> Array:
    """`count` evenly spaced ranks from 1 to `rows`, including the last one."""
    return np.ceil(np.arange(1, count + 1) * (rows / count) - 1e-9).astype(np.int64)
