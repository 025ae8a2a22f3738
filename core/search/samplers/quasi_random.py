"""Quasi-random sampler."""

from typing import Any, ClassVar, Literal

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, QMCSampler

from core.family import Examples, member
from core.search.sampler import Sampler, Seed, Space


class _FromTheFirst(QMCSampler):  # type: ignore[misc]
    """Takes points from the sequence from the first trial on.

    Optuna's sampler starts the sequence once a trial has finished: then the points depend on how
    many trials run at once.
    """

    def __init__(self, space: Space, **options: Any) -> None:
        super().__init__(warn_asynchronous_seeding=False, **options)
        self._space = dict(sorted(space.items()))

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        """Return the whole space."""
        return self._space


@member
class QuasiRandom(Sampler):
    """A low-discrepancy sequence, `sobol` or `halton`; `scramble` shifts it by the seed."""

    kind: Literal["quasi_random"] = "quasi_random"
    sequence: Literal["sobol", "halton"] = "sobol"
    scramble: bool = True
    seed: Seed = 0
    EXAMPLES: ClassVar[Examples] = ({"seed": 3}, {"sequence": "halton", "scramble": False})

    def make(self, space: Space) -> BaseSampler:
        return _FromTheFirst(space, qmc_type=self.sequence, scramble=self.scramble, seed=self.seed)
