"""Hyperband pruner."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from optuna.pruners import BasePruner, HyperbandPruner

from core.family import Examples, member
from core.search.pruner import Pruner


@member
class Hyperband(Pruner):
    """Hyperband (Li et al., 2018): trials are divided among brackets of successive halving."""

    kind: Literal["hyperband"] = "hyperband"
    least_epochs: Annotated[int, Ge(1)] = 1
    reduction: Annotated[int, Ge(2)] = 3
    EXAMPLES: ClassVar[Examples] = ({"reduction": 2},)

    def make(self, epochs: int) -> BasePruner:
        return HyperbandPruner(self.least_epochs, max(epochs, self.least_epochs), self.reduction)
