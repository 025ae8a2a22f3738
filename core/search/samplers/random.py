"""Random sampler."""

from typing import ClassVar, Literal

from optuna.samplers import BaseSampler, RandomSampler

from core.family import Examples, member
from core.search.sampler import Sampler, Seed, Space


@member
class Random(Sampler):
    """Random search (Bergstra and Bengio, 2012)."""

    ignores_trials: ClassVar[bool] = True
    kind: Literal["random"] = "random"
    seed: Seed = 0
    EXAMPLES: ClassVar[Examples] = ({"seed": 3},)

    def make(self, space: Space) -> BaseSampler:
        return RandomSampler(seed=self.seed)
