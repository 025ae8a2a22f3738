"""Base class of dimensions: the values that one hyperparameter may take."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

from annotated_types import Len
from optuna.distributions import BaseDistribution
from pydantic import Field, JsonValue

from core.family import Family, Since, member


@member
class Dimension(Family):
    """The values that one field of a JobSpec may take in a sweep."""

    when: Annotated[
        Annotated[dict[str, JsonValue], Len(1, 20)] | None,
        Since(2),
        Field(
            description="search this field only where other fields have a value, or one of a list: "
            '`{"optimizer.kind": "sgd"}`'
        ),
    ] = None

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


def same(a: Any, b: Any) -> bool:
    """Return whether two JSON values are equal; true differs from 1, and 1 equals 1.0."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)
