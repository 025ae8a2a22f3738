"""What a sampler is: a way to choose the next point of a search space."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Lt
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

from core.family import Family

Seed = Annotated[int, Ge(0), Lt(2**32)]
Space = Mapping[str, BaseDistribution]


class Sampler(Family):
    """Chooses points. Equal seeds and equal histories give equal points.

    `adaptive`: what it chooses depends on the results so far, so also on how many trials run at
    once. `counted`: it visits each point once, so all dimensions must have points to count.
    """

    adaptive: ClassVar[bool] = False
    counted: ClassVar[bool] = False
    blind: ClassVar[bool] = False
    """Whether it looks at no trial at all: then it need not be shown any."""
    warms: ClassVar[bool] = False
    """Whether it learns from trials of others as well."""
    objectives: ClassVar[int] = 8
    """How many objectives it copes with at most."""
    seed: Any

    @abstractmethod
    def make(self, space: Space) -> BaseSampler:
        """Optuna's sampler of this kind."""

    @classmethod
    def examples(cls) -> Iterator["Sampler"]:
        """Some of them, on which the tests of the family run."""
        raise NotImplementedError
