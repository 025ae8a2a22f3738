"""Successive halving pruner."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from optuna.pruners import BasePruner, SuccessiveHalvingPruner

from core.family import Examples, member
from core.search.pruner import Pruner


@member
class SuccessiveHalving(Pruner):
    """Asynchronous successive halving (Li et al., 2020): each rung keeps one in `reduction` trials.

    The first rung ends after `least_epochs`, each next one after `reduction` times as many.
    """

    kind: Literal["successive_halving"] = "successive_halving"
    least_epochs: Annotated[int, Ge(1)] = 1
    reduction: Annotated[int, Ge(2)] = 4
    grace_rungs: Annotated[int, Ge(0)] = 0
    EXAMPLES: ClassVar[Examples] = ({"reduction": 2},)

    def make(self, epochs: int) -> BasePruner:
        return SuccessiveHalvingPruner(self.least_epochs, self.reduction, self.grace_rungs)
