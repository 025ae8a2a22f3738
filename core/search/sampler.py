"""Base class of samplers, which choose the next point of a search space."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, Lt
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

from core.family import Family

Seed = Annotated[int, Ge(0), Lt(2**32)]
Space = Mapping[str, BaseDistribution]


class Sampler(Family):
    """Chooses points. Equal seeds and equal histories give equal points."""

    adaptive: ClassVar[bool] = False
    """Whether its points depend on results, and so on how many trials run at once."""
    exhaustive: ClassVar[bool] = False
    """Whether it visits each point once: then all dimensions must be countable."""
    ignores_trials: ClassVar[bool] = False
    """Whether it never looks at trials: then the study may be empty."""
    warm_starts: ClassVar[bool] = False
    """Whether it learns from trials that it did not choose."""
    objectives: ClassVar[int] = 8
    """Largest number of objectives that it supports."""
    seed: Any

    @abstractmethod
    def make(self, space: Space) -> BaseSampler:
        """Return Optuna's sampler of this kind."""

    @classmethod
    def examples(cls) -> Iterator[Self]:
        """Yield members to test."""
        return (cls(**fields) for fields in cls.EXAMPLES)
