"""Exponential decay."""

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt, Le

from core.family import Examples, member
from core.nn.hyperparameters import power
from core.nn.schedule import Progress, Schedule, elapsed


@member
class Exponential(Schedule):
    """`decay^t` after t epochs (or steps)."""

    kind: Literal["exponential"] = "exponential"
    decay: Annotated[float, Gt(0), Le(1)] = 0.95
    unit: Literal["epoch", "step"] = "epoch"
    EXAMPLES: ClassVar[Examples] = ({}, {"decay": 0.9, "unit": "step"})

    def factor(self, progress: Progress) -> Any:
        return power(self.decay, elapsed(progress, self.unit))
