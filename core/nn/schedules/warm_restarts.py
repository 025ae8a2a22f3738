"""Cosine decay with warm restarts."""

import math
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from core.family import Examples, member
from core.nn.schedule import Progress, Schedule


@member
class WarmRestarts(Schedule):
    """Cosine decay over `period` epochs (or steps), repeated with periods `growth` times as long.

    The rate changes with each step, also within epochs. Loshchilov and Hutter, "SGDR: Stochastic
    Gradient Descent with Warm Restarts" (2017), equation 5.
    """

    kind: Literal["warm_restarts"] = "warm_restarts"
    period: Annotated[int, Ge(1)] = 10
    growth: Annotated[int, Ge(1)] = 1
    end: Annotated[float, Ge(0), Le(1)] = 0.0
    unit: Literal["epoch", "step"] = "epoch"
    EXAMPLES: ClassVar[Examples] = ({}, {"period": 4, "growth": 2, "end": 0.1, "unit": "step"})

    def factor(self, progress: Progress) -> Any:
        steps, epochs = 1, 1
        if self.unit == "epoch":
            steps, epochs = max(1, progress.steps_total), progress.epochs_total
        done, period = self._within(progress.step * (epochs / steps))
        whole, rest = divmod(progress.step * epochs, steps)
        if not rest and self._within(float(whole))[0] == 0:
            done, period = self._within(float(whole))  # rounding must not delay a restart
        return self.end + (1 - self.end) * (0.5 + 0.5 * math.cos(math.pi * done / period))

    def _within(self, done: float) -> tuple[float, float]:
        """The completed part of the current period, and its length."""
        period = float(self.period)
        if self.growth == 1:
            done %= period
        while done >= period:
            done -= period
            period *= self.growth
        return done, period
