"""Categorical dimension."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Len
from optuna.distributions import BaseDistribution, CategoricalDistribution
from pydantic import JsonValue

from core.family import Examples, member
from core.search.dimension import Dimension, same

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
            if any(same(choice, other) for other in self.choices[:index]):
                raise ValueError(f"{json.dumps(choice)} is among the choices twice")

    def distribution(self) -> BaseDistribution:
        return CategoricalDistribution([self.to_optuna(choice) for choice in self.choices])

    def ends(self) -> Sequence[Any]:
        return self.choices

    def points(self) -> int | None:
        return len(self.choices)

    def contains(self, value: Any) -> bool:
        return any(same(value, choice) for choice in self.choices)

    def to_optuna(self, value: Any) -> Any:
        # Optuna takes true for 1: if both are choices, they are encoded as text.
        equal = isinstance(value, bool) and sum(value == choice for choice in self.choices) > 1
        if isinstance(value, _PLAIN) and not equal:
            return value
        return json.dumps(value, sort_keys=True)

    def from_optuna(self, value: Any) -> Any:
        return next(choice for choice in self.choices if self.to_optuna(choice) == value)
