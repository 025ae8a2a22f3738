"""Pruner that prunes nothing."""

from typing import Literal

from optuna.pruners import BasePruner, NopPruner

from core.family import member
from core.search.pruner import Pruner


@member
class NoPruner(Pruner):
    """Lets each trial train to its end."""

    kind: Literal["none"] = "none"
    prunes = False

    def make(self, epochs: int) -> BasePruner:
        return NopPruner()
