"""What a dimension of a search space is: the values that one hyperparameter may take."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from optuna.distributions import BaseDistribution

from core.family import Family


class Dimension(Family):
    """The values that one field of a JobSpec may take in a sweep."""

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """It as Optuna knows it."""

    @abstractmethod
    def ends(self) -> Sequence[Any]:
        """Values that show whether all of them fit: the ends, or every choice."""

    @abstractmethod
    def points(self) -> int | None:
        """How many different values there are; None: too many to count."""

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Whether `value`, as a JSON document has it, is one of them."""

    def to_optuna(self, value: Any) -> Any:
        """A value as Optuna takes it."""
        return value

    def from_optuna(self, value: Any) -> Any:
        """What Optuna suggested, as a JSON document has it."""
        return value

    @classmethod
    def examples(cls) -> Iterator["Dimension"]:
        """Some of them, on which the tests of the family run."""
        raise NotImplementedError
