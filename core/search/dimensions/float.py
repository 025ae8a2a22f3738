"""Dimension of real numbers."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt
from optuna.distributions import BaseDistribution, FloatDistribution

from core.family import Examples, member
from core.search.dimension import Dimension

MAX_STEPS = 2.0**53
"""Beyond it, a floating-point number does not count single steps."""


@member
class Float(Dimension):
    """A number from `low` to `high`: on a logarithmic scale with `log`, in steps with `step`."""

    kind: Literal["float"] = "float"
    low: float
    high: float
    step: Annotated[float, Gt(0)] | None = None
    log: bool = False
    EXAMPLES: ClassVar[Examples] = (
        {"low": -1, "high": 2},
        {"low": 1e-4, "high": 0.1, "log": True},
        {"low": 0, "high": 0.5, "step": 0.1},
    )

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        if not math.isfinite(self.high - self.low):
            raise ValueError("high - low is more than a number can be")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, not {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("log and step exclude each other")
        if not self._steps < MAX_STEPS:
            raise ValueError("high is too many steps above low: make step larger")
        if self.step is not None and not math.isclose(self._steps, round(self._steps)):
            raise ValueError("high does not lie a whole number of steps above low")

    @property
    def _steps(self) -> float:
        """How many steps `high` is above `low`; 0 without steps."""
        return 0.0 if self.step is None else (self.high - self.low) / self.step

    def distribution(self) -> BaseDistribution:
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def ends(self) -> Sequence[Any]:
        return (self.low, self.high)

    def points(self) -> int | None:
        if self.low == self.high:
            return 1
        return None if self.step is None else round(self._steps) + 1

    def contains(self, value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.distribution()._contains(float(value))
