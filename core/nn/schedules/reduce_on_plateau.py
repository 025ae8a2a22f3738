"""Reduce the learning rate when the loss stops improving."""

import math
import operator
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.family import Examples, member
from core.nn.schedule import Progress, Schedule


@member
class ReduceOnPlateau(Schedule):
    """Multiplies the rate by `decay` after more than `patience` epochs without a better loss.

    A loss is better if it is below the best so far by more than the fraction `tolerance`. After a
    reduction, `cooldown` epochs are not counted. The factor is at least `minimum`. It depends only
    on the history of losses, so it is the same for a resumed training.
    """

    kind: Literal["reduce_on_plateau"] = "reduce_on_plateau"
    decay: Annotated[float, Gt(0), Lt(1)] = 0.1
    patience: Annotated[int, Ge(0)] = 10
    tolerance: Annotated[float, Ge(0), Lt(1)] = 1e-4
    cooldown: Annotated[int, Ge(0)] = 0
    minimum: Annotated[float, Ge(0), Le(1)] = 0.0
    EXAMPLES: ClassVar[Examples] = (
        {},
        {"decay": 0.5, "patience": 1, "cooldown": 1, "minimum": 0.01},
    )

    def factor(self, progress: Progress) -> Any:
        losses = progress.losses
        if not losses:
            return 1.0
        previous, factor = getattr(self, "_latest", ((), 1.0))
        if len(previous) != len(losses) or not all(map(operator.is_, previous, losses)):
            factor = self._factors(losses)
            # All steps of an epoch share one history: cache the latest result.
            object.__setattr__(self, "_latest", (losses, factor))
        return factor

    def _factors(self, losses: tuple[Any, ...]) -> Any:
        """The factor after a history of losses, for one network or for each of a stack."""
        numbers = (self.decay, self.tolerance, self.minimum)
        if np.ndim(losses[0]) == 0:
            return self._factor(losses, *numbers)
        histories = np.array(losses, np.float64).reshape(len(losses), -1).T.tolist()
        each = [np.broadcast_to(n, (len(histories), 1))[:, 0].tolist() for n in numbers]
        return np.array([[self._factor(*row)] for row in zip(histories, *each, strict=True)])

    def _factor(
        self, losses: Sequence[float], decay: float, tolerance: float, minimum: float
    ) -> float:
        factor, best, waited, cooling = 1.0, math.inf, 0, 0
        for loss in losses:
            if loss < (best if math.isinf(best) else best - tolerance * abs(best)):
                best, waited = loss, 0
            else:
                waited += 1
            if cooling:
                cooling, waited = cooling - 1, 0
            if waited > self.patience:
                factor, waited, cooling = max(factor * decay, minimum), 0, self.cooldown
        return factor
