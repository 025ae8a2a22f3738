"""One-cycle policy: the rate rises, then falls far below its start."""

import math
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from core.family import Examples, member
from core.nn.hyperparameters import per_network
from core.nn.schedule import Progress, Schedule


@member
class OneCycle(Schedule):
    """From `1 / divide` to 1 in the first fraction `rise` of steps, then to `1 / divide / settle`.

    Both phases follow half a cosine wave. Smith and Topin, "Super-Convergence: Very Fast Training
    of Neural Networks Using Large Learning Rates" (2018), section 3, without cycling the momentum.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    rise: Annotated[float, Gt(0), Lt(1)] = 0.3
    divide: Annotated[float, Ge(1)] = 25.0
    settle: Annotated[float, Ge(1)] = 10_000.0
    EXAMPLES: ClassVar[Examples] = ({}, {"rise": 0.4, "divide": 10.0, "settle": 100.0})

    def factor(self, progress: Progress) -> Any:
        up, down = per_network(lambda rise: _phases(progress, rise), self.rise)
        start = 1 / self.divide
        return start + (1 - start) * up + (start / self.settle - 1) * down


def _phases(progress: Progress, rise: float) -> tuple[float, float]:
    """The completed parts of the rise and of the fall, each from 0 to 1."""
    last = max(1, progress.steps_total - 1)
    top = max(0.0, rise * progress.steps_total - 1)
    step = min(progress.step, last)
    if step <= top:
        return 0.5 - 0.5 * math.cos(math.pi * (step / top if top else 1.0)), 0.0
    return 1.0, 0.5 - 0.5 * math.cos(math.pi * (step - top) / (last - top))
