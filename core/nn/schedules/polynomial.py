"""Polynomial decay over all steps of training."""

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from core.family import Examples, member
from core.nn.hyperparameters import per_network
from core.nn.schedule import Progress, Schedule, completed


@member
class Polynomial(Schedule):
    """`end + (1 - end) (1 - t / T)^power` after t of T steps; linear with power 1.

    The poly policy of Chen et al., "DeepLab" (2017), section 4.1.2.
    """

    kind: Literal["polynomial"] = "polynomial"
    power: Annotated[float, Gt(0)] = 1.0
    end: Annotated[float, Ge(0), Le(1)] = 0.0
    EXAMPLES: ClassVar[Examples] = ({}, {"power": 2.0, "end": 0.1})

    def factor(self, progress: Progress) -> Any:
        remaining = 1 - completed(progress)
        curve = per_network(lambda power: remaining**power, self.power)
        return self.end + (1 - self.end) * curve
