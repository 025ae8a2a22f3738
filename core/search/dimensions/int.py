"""Dimension of integers."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt
from optuna.distributions import BaseDistribution, IntDistribution

from core.family import Examples, member
from core.search.dimension import Dimension

MAX = 2**53
"""Samplers compute with floating-point numbers, which do not tell larger integers apart."""


@member
class Int(Dimension):
    """An integer from `low` to `high` in steps of `step`; on a logarithmic scale with `log`."""

    kind: Literal["int"] = "int"
    low: int
    high: int
    step: Annotated[int, Gt(0)] = 1
    log: bool = False
    EXAMPLES: ClassVar[Examples] = (
        {"low": 1, "high": 4},
        {"low": 16, "high": 64, "step": 16},
        {"low": 8, "high": 512, "log": True},
    )

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        if max(abs(self.low), abs(self.high), self.step) > MAX:
            raise ValueError(f"low, high and step may be at most {MAX}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, not {self.low}")
        if self.log and self.step != 1:
            raise ValueError("log and step exclude each other")
        if (self.high - self.low) % self.step:
            raise ValueError("high does not lie a whole number of steps above low")

    def distribution(self) -> BaseDistribution:
        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def ends(self) -> Sequence[Any]:
        return (self.low, self.high)

    def points(self) -> int | None:
        return (self.high - self.low) // self.step + 1

    def contains(self, value: Any) -> bool:
        number = isinstance(value, int) and not isinstance(value, bool)
        return number and self.distribution()._contains(value)
