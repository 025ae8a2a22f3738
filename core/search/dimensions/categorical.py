"""One of some values of any kind."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Len
from optuna.distributions import BaseDistribution, CategoricalDistribution
from pydantic import JsonValue

from core.family import member
from core.search.dimension import Dimension

_PLAIN = str | int | float | bool | None


@member
class Categorical(Dimension):
    """One of `choices`: numbers, words, or whole objects such as optimizers and layers."""

    kind: Literal["categorical"] = "categorical"
    choices: Annotated[tuple[JsonValue, ...], Len(1, 1000)]

    def __post_init__(self) -> None:
        for index, choice in enumerate(self.choices):
            if any(_same(choice, other) for other in self.choices[:index]):
                raise ValueError(f"{json.dumps(choice)} is among the choices twice")

    def distribution(self) -> BaseDistribution:
        return CategoricalDistribution([self.to_optuna(choice) for choice in self.choices])

    def ends(self) -> Sequence[Any]:
        return self.choices

    def points(self) -> int | None:
        return len(self.choices)

    def contains(self, value: Any) -> bool:
        return any(_same(value, choice) for choice in self.choices)

    def to_optuna(self, value: Any) -> Any:
        # To Optuna true is 1: where both are choices they are told apart as text.
        equal = isinstance(value, bool) and sum(value == choice for choice in self.choices) > 1
        if isinstance(value, _PLAIN) and not equal:
            return value
        return json.dumps(value, sort_keys=True)

    def from_optuna(self, value: Any) -> Any:
        return next(choice for choice in self.choices if self.to_optuna(choice) == value)

    @classmethod
    def examples(cls) -> Iterator["Categorical"]:
        yield cls(choices=(16, 32, 64))
        yield cls(choices=({"kind": "sgd"}, {"kind": "adam"}))
        yield cls(choices=(True, 1, 0, False))


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: true is not 1, 1 is 1.0."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return isinstance(one, bool) == isinstance(other, bool) and one == other
