"""NSGA-II sampler."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from optuna.samplers import BaseSampler, NSGAIISampler

from core.family import Examples, member
from core.search.sampler import Sampler, Seed, Space


@member
class Nsga2(Sampler):
    """Non-dominated sorting genetic algorithm II (Deb et al., 2002)."""

    kind: Literal["nsga2"] = "nsga2"
    adaptive = True
    population: Annotated[int, Ge(2)] = 50
    crossover: Annotated[float, Ge(0), Le(1)] = 0.9
    seed: Seed = 0
    EXAMPLES: ClassVar[Examples] = ({"seed": 3, "population": 4},)

    def make(self, space: Space) -> BaseSampler:
        return NSGAIISampler(
            population_size=self.population, crossover_prob=self.crossover, seed=self.seed
        )
