"""Patience pruner."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from optuna.pruners import BasePruner, PatientPruner

from core.family import Examples, member
from core.search.pruner import Pruner


@member
class Patient(Pruner):
    """Ends a trial that does not improve by `tolerance` within `patience` epochs."""

    kind: Literal["patient"] = "patient"
    patience: Annotated[int, Ge(0)] = 5
    tolerance: Annotated[float, Ge(0)] = 0.0
    EXAMPLES: ClassVar[Examples] = ({"patience": 1},)

    def make(self, epochs: int) -> BasePruner:
        return PatientPruner(None, self.patience, self.tolerance)
