"""Percentile pruner."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from optuna.pruners import BasePruner, PercentilePruner

from core.family import Examples, member
from core.search.pruner import Pruner


@member
class Percentile(Pruner):
    """Ends a trial that is not among the best `percentile` percent at the same epoch."""

    kind: Literal["percentile"] = "percentile"
    percentile: Annotated[float, Ge(0), Le(100)] = 25.0
    startup_trials: Annotated[int, Ge(0)] = 5
    warmup_epochs: Annotated[int, Ge(0)] = 0
    every_epochs: Annotated[int, Ge(1)] = 1
    least_trials: Annotated[int, Ge(1)] = 1
    EXAMPLES: ClassVar[Examples] = ({"startup_trials": 2},)

    def make(self, epochs: int) -> BasePruner:
        return PercentilePruner(
            self.percentile,
            self.startup_trials,
            self.warmup_epochs,
            self.every_epochs,
            n_min_trials=self.least_trials,
        )
