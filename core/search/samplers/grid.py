"""Grid sampler."""

from typing import Any, ClassVar, Literal

from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, GridSampler

from core.family import Examples, member
from core.search.sampler import Sampler, Seed, Space


@member
class Grid(Sampler):
    """Each combination once, in an order shuffled by the seed."""

    kind: Literal["grid"] = "grid"
    exhaustive = True
    seed: Seed = 0
    EXAMPLES: ClassVar[Examples] = ({"seed": 3},)

    def make(self, space: Space) -> BaseSampler:
        return GridSampler(
            {name: _values(distribution) for name, distribution in space.items()}, seed=self.seed
        )


def _values(distribution: Any) -> list[Any]:
    """Return all values of a countable distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    low, high, step = distribution.low, distribution.high, distribution.step
    if isinstance(distribution, FloatDistribution):
        count = round((high - low) / step) + 1 if step else 1
        return [low + i * (step or 0.0) for i in range(count)]
    return list(range(low, high + 1, step))
