"""Brute-force sampler."""

from typing import ClassVar, Literal

from optuna.samplers import BaseSampler, BruteForceSampler

from core.family import Examples, member
from core.search.sampler import Sampler, Seed, Space


@member
class BruteForce(Sampler):
    """Each combination once, in random order."""

    kind: Literal["brute_force"] = "brute_force"
    exhaustive = True
    adaptive = True
    seed: Seed = 0
    EXAMPLES: ClassVar[Examples] = ({"seed": 3},)

    def make(self, space: Space) -> BaseSampler:
        # Running trials count as visited.
        return BruteForceSampler(seed=self.seed)
