"""What a pruner is: a way to see early that a trial will not be among the best."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from optuna.pruners import BasePruner

from core.family import Family


class Pruner(Family):
    """Judges a running trial by the objective it reported after each epoch."""

    prunes: ClassVar[bool] = True
    """Whether it ever ends a trial."""

    @abstractmethod
    def make(self, epochs: int) -> BasePruner:
        """Optuna's pruner of this kind, for trials of `epochs` epochs."""

    @classmethod
    def examples(cls) -> Iterator["Pruner"]:
        """Some of them, on which the tests of the family run."""
        raise NotImplementedError
