"""Base class of dimensions: the values that one hyperparameter may take."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

from optuna.distributions import BaseDistribution

from core.family import Family


class Dimension(Family):
    """The values that one field of a JobSpec may take in a sweep."""

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """Return the dimension as a distribution of Optuna."""

    @abstractmethod
    def ends(self) -> Sequence[Any]:
        """Return values that represent all others in a check: both ends, or every choice."""

    @abstractmethod
    def points(self) -> int | None:
        """Return the number of distinct values; None if they cannot be counted."""

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Return whether `value`, in its JSON form, is one of the values."""

    def to_optuna(self, value: Any) -> Any:
        """Convert a value from its JSON form to the one that Optuna takes."""
        return value

    def from_optuna(self, value: Any) -> Any:
        """Convert a value that Optuna suggested to its JSON form."""
        return value

    @classmethod
    def examples(cls) -> Iterator[Self]:
        """Yield members to test."""
        return (cls(**fields) for fields in cls.EXAMPLES)
