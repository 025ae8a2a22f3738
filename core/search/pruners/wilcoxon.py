"""Wilcoxon pruner."""

from typing import Annotated, Literal

from annotated_types import Ge, Le
from optuna.pruners import BasePruner, WilcoxonPruner

from core.family import member
from core.search.pruner import Pruner


@member
class Wilcoxon(Pruner):
    """Ends a trial that is worse than the best one by a Wilcoxon signed-rank test."""

    kind: Literal["wilcoxon"] = "wilcoxon"
    p_threshold: Annotated[float, Ge(0), Le(1)] = 0.1
    startup_epochs: Annotated[int, Ge(0)] = 2

    def make(self, epochs: int) -> BasePruner:
        return WilcoxonPruner(p_threshold=self.p_threshold, n_startup_steps=self.startup_epochs)
