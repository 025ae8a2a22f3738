"""Median pruner."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from optuna.pruners import BasePruner, MedianPruner

from core.family import Examples, member
from core.search.pruner import Pruner


@member
class Median(Pruner):
    """Ends a trial whose best value is worse than the median of the others at the same epoch."""

    kind: Literal["median"] = "median"
    startup_trials: Annotated[int, Ge(0)] = 5
    warmup_epochs: Annotated[int, Ge(0)] = 0
    every_epochs: Annotated[int, Ge(1)] = 1
    least_trials: Annotated[int, Ge(1)] = 1
    EXAMPLES: ClassVar[Examples] = ({"startup_trials": 2},)

    def make(self, epochs: int) -> BasePruner:
        return MedianPruner(
            self.startup_trials,
            self.warmup_epochs,
            self.every_epochs,
            n_min_trials=self.least_trials,
        )
