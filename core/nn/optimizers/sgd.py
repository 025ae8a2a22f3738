"""Stochastic gradient descent, with momentum if asked."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from core.family import member
from core.nn.array import Array
from core.nn.optimizer import Optimizer


@member
class Sgd(Optimizer):
    """`w -= rate g`; with momentum `v = momentum v + g`, `w -= rate v` (Polyak, 1964)."""

    kind: Literal["sgd"] = "sgd"
    slots: ClassVar[tuple[str, ...]] = ("v",)
    learning_rate: Annotated[float, Gt(0)] = 0.01
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0

    def coefficients(self, step: int, rate: Any) -> tuple[Any, ...]:
        return self.momentum, rate

    def update(
        self,
        xp: Any,
        w: Array,
        g: Array,
        slots: tuple[Array, ...],
        coefficients: tuple[Any, ...],
        scratch: tuple[Array, ...],
    ) -> None:
        (v,), (momentum, rate), (change,) = slots, coefficients, scratch
        v *= momentum
        v += g
        xp.multiply(v, rate, out=change)
        w -= change

    @classmethod
    def examples(cls) -> Iterator["Sgd"]:
        yield cls()
        yield cls(momentum=0.9)
