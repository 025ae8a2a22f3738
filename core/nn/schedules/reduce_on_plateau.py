"""The rate falls when the loss does not."""

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.family import member
from core.nn.schedule import Progress, Schedule


@member
class ReduceOnPlateau(Schedule):
    """After more than `patience` epochs without a better loss the rate is multiplied by `decay`.

    Better means below the best so far by more than `tolerance` of it. Then `cooldown` epochs pass
    before epochs count again. The rate never falls below `minimum` of its start. A function of the
    history of losses alone, so a resumed training goes on as if it had never stopped.
    """

    kind: Literal["reduce_on_plateau"] = "reduce_on_plateau"
    decay: Annotated[float, Gt(0), Lt(1)] = 0.1
    patience: Annotated[int, Ge(0)] = 10
    tolerance: Annotated[float, Ge(0), Lt(1)] = 1e-4
    cooldown: Annotated[int, Ge(0)] = 0
    minimum: Annotated[float, Ge(0), Le(1)] = 0.0

    def factor(self, progress: Progress) -> Any:
        losses = progress.losses
        if not losses:
            return 1.0
        known, factor = getattr(self, "_latest", ((), 1.0))
        if len(known) != len(losses) or not all(map(operator.is_, known, losses)):
            factor = self._follow(losses)
            # Many steps share one history: the latest answer is kept, only to save its time.
            object.__setattr__(self, "_latest", (losses, factor))
        return factor

    def _follow(self, losses: tuple[Any, ...]) -> Any:
        """The factor after a history of losses, of one network or of each of a stack."""
        numbers = (self.decay, self.tolerance, self.minimum)
        if np.ndim(losses[0]) == 0:
            return self._factor(losses, *numbers)
        histories = np.array(losses, np.float64).reshape(len(losses), -1).T.tolist()
        each = [np.broadcast_to(n, (len(histories), 1))[:, 0].tolist() for n in numbers]
        return np.array([[self._factor(*row)] for row in zip(histories, *each, strict=True)])

    def _factor(
        self, losses: Sequence[float], decay: float, tolerance: float, minimum: float
    ) -> float:
        factor, best, waited, resting = 1.0, math.inf, 0, 0
        for loss in losses:
            if loss < (best if math.isinf(best) else best - tolerance * abs(best)):
                best, waited = loss, 0
            else:
                waited += 1
            if resting:
                resting, waited = resting - 1, 0
            if waited > self.patience:
                factor, waited, resting = max(factor * decay, minimum), 0, self.cooldown
        return factor

    @classmethod
    def examples(cls) -> Iterator["ReduceOnPlateau"]:
        yield cls()
        yield cls(decay=0.5, patience=1, cooldown=1, minimum=0.01)
