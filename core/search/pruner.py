"""Base class of pruners, which end trials early that will not be among the best."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Self

from optuna.pruners import BasePruner

from core.family import Family


class Pruner(Family):
    """Judges a running trial by the objective that it logged after each epoch."""

    prunes: ClassVar[bool] = True
    """Whether it ever ends a trial."""

    @abstractmethod
    def make(self, epochs: int) -> BasePruner:
        """Return Optuna's pruner of this kind, for trials of `epochs` epochs."""

    @classmethod
    def examples(cls) -> Iterator[Self]:
        """Yield members to test."""
        return (cls(**fields) for fields in cls.EXAMPLES)
