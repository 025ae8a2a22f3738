"""Step decay."""

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from core.family import Examples, member
from core.nn.hyperparameters import power
from core.nn.schedule import Progress, Schedule, elapsed


@member
class Step(Schedule):
    """Multiplies the rate by `decay` after each `every` epochs (or steps).

    As in Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks" (2012), section 5, at fixed times.
    """

    kind: Literal["step"] = "step"
    decay: Annotated[float, Gt(0), Le(1)] = 0.1
    every: Annotated[int, Ge(1)] = 10
    unit: Literal["epoch", "step"] = "epoch"
    EXAMPLES: ClassVar[Examples] = ({}, {"decay": 0.5, "every": 3, "unit": "step"})

    def factor(self, progress: Progress) -> Any:
        return power(self.decay, elapsed(progress, self.unit) // self.every)
