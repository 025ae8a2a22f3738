"""Categorical dimension."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Len
from optuna.distributions import BaseDistribution, CategoricalDistribution
from pydantic import JsonValue

from core.family import Examples, member
from core.search.dimension import Dimension

_PLAIN = str | int | float | bool | None


@member
class Categorical(Dimension):
    """One of `choices`: numbers, strings, or objects such as optimizers and layers."""

    kind: Literal["categorical"] = "categorical"
    choices: Annotated[tuple[JsonValue, ...], Len(1, 1000)]
    EXAMPLES: ClassVar[Examples] = (
        {"choices": (16, 32, 64)},
        {"choices": ({"kind": "sgd"}, {"kind": "adam"})},
        {"choices": (True, 1, 0, False)},
    )

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
        # Optuna takes true for 1: if both are choices, they are encoded as text.
        equal = isinstance(value, bool) and sum(value == choice for choice in self.choices) > 1
        if isinstance(value, _PLAIN) and not equal:
            return value
        return json.dumps(value, sort_keys=True)

    def from_optuna(self, value: Any) -> Any:
        return next(choice for choice in self.choices if self.to_optuna(choice) == value)


def _same(a: Any, b: Any) -> bool:
    """Return whether two JSON values are equal; true differs from 1, and 1 equals 1.0."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    return isinstance(a, bool) == isinstance(b, bool) and a == b
