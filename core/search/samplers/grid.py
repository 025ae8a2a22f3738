"""Every point of a grid."""

from collections.abc import Iterator
from typing import Any, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, GridSampler

from core.family import member
from core.search.sampler import Sampler, Seed, Space


@member
class Grid(Sampler):
    """Each combination once, in an order that the seed shuffles."""

    kind: Literal["grid"] = "grid"
    exhaustive = True
    seed: Seed = 0

    def make(self, space: Space) -> BaseSampler:
        return GridSampler({name: _values(one) for name, one in space.items()}, seed=self.seed)

    @classmethod
    def examples(cls) -> Iterator["Grid"]:
        yield cls(seed=3)


def _values(distribution: Any) -> list[Any]:
    one: BaseDistribution = distribution
    if isinstance(one, CategoricalDistribution):
        return list(one.choices)
    if isinstance(one, FloatDistribution):
        count = round((one.high - one.low) / one.step) + 1 if one.step else 1
        return [one.low + i * (one.step or 0.0) for i in range(count)]
    return list(range(distribution.low, distribution.high + 1, distribution.step))
