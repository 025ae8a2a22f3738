"""Threshold pruner."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from optuna.pruners import BasePruner, ThresholdPruner

from core.family import Examples, member
from core.search.pruner import Pruner


@member
class Threshold(Pruner):
    """Ends a trial that logs a value below `lower`, above `upper`, or NaN."""

    kind: Literal["threshold"] = "threshold"
    lower: float | None = None
    upper: float | None = None
    warmup_epochs: Annotated[int, Ge(0)] = 0
    every_epochs: Annotated[int, Ge(1)] = 1
    EXAMPLES: ClassVar[Examples] = ({"lower": 0.5},)

    def __post_init__(self) -> None:
        if self.lower is None and self.upper is None:
            raise ValueError("give lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError("lower is above upper")

    def make(self, epochs: int) -> BasePruner:
        return ThresholdPruner(self.lower, self.upper, self.warmup_epochs, self.every_epochs)
