"""Linear warm-up before another schedule."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from core.family import Examples, member
from core.nn.schedule import Progress, Schedule


@member
class WarmUp(Schedule):
    """Linear from `start` to 1 over the first `steps` steps, multiplied by the schedule `then`.

    `then` stays at its first step during the warm-up. Goyal et al., "Accurate, Large Minibatch SGD:
    Training ImageNet in 1 Hour" (2017), section 2.2.
    """

    kind: Literal["warm_up"] = "warm_up"
    steps: Annotated[int, Ge(1)] = 100
    start: Annotated[float, Ge(0), Le(1)] = 0.0
    then: Schedule | None = None
    EXAMPLES: ClassVar[Examples] = ({}, {"steps": 5, "start": 0.1})

    def factor(self, progress: Progress) -> Any:
        remaining = max(0, self.steps - progress.step)
        after = replace(
            progress,
            step=max(0, progress.step - self.steps),
            steps_total=max(1, progress.steps_total - self.steps),
        )
        factor = 1.0 if self.then is None else self.then.factor(after)
        if not remaining:
            return factor
        return factor * (1 - (1 - self.start) * (remaining / self.steps))
