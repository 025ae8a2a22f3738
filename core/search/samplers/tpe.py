"""TPE sampler."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from optuna.samplers import BaseSampler, TPESampler

from core.family import Examples, member
from core.search.sampler import Sampler, Seed, Space


@member
class Tpe(Sampler):
    """Tree-structured Parzen estimator (Bergstra et al., 2011).

    The first `startup_trials` points are random. Running trials count as bad, so that parallel
    trials do not lie close together.
    """

    kind: Literal["tpe"] = "tpe"
    adaptive = True
    warm_starts = True
    startup_trials: Annotated[int, Ge(0)] = 10
    candidates: Annotated[int, Ge(1)] = 24
    multivariate: bool = True
    seed: Seed = 0
    EXAMPLES: ClassVar[Examples] = (
        {"seed": 3, "startup_trials": 4},
        {"seed": 3, "startup_trials": 4, "multivariate": False},
    )

    def make(self, space: Space) -> BaseSampler:
        return TPESampler(
            n_startup_trials=self.startup_trials,
            n_ei_candidates=self.candidates,
            multivariate=self.multivariate,
            constant_liar=True,
            seed=self.seed,
        )
