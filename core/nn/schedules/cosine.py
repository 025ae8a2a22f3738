"""Cosine decay over all steps of training."""

import math
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from core.family import Examples, member
from core.nn.schedule import Progress, Schedule, completed


@member
class Cosine(Schedule):
    """`end + (1 - end) (1 + cos(pi t / T)) / 2` after t of T steps.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017),
    equation 5, without restarts.
    """

    kind: Literal["cosine"] = "cosine"
    end: Annotated[float, Ge(0), Le(1)] = 0.0
    EXAMPLES: ClassVar[Examples] = ({}, {"end": 0.1})

    def factor(self, progress: Progress) -> Any:
        return self.end + (1 - self.end) * (0.5 + 0.5 * math.cos(math.pi * completed(progress)))
