"""Adadelta."""

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt, Lt

from core.family import Examples, member
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers
from core.nn.optimizer import Optimizer


@member
class Adadelta(Optimizer):
    """Steps in the unit of the weights, from moving mean squares of gradients and of steps.

    `s = rho s + (1 - rho) g^2`, `d = g sqrt(u + eps) / sqrt(s + eps)`,
    `u = rho u + (1 - rho) d^2`, `w -= rate d`. Zeiler, "ADADELTA: An Adaptive Learning Rate Method"
    (2012), algorithm 1. The slots `s` and `u` omit the factor `1 - rho`.
    """

    kind: Literal["adadelta"] = "adadelta"
    scratch: ClassVar[int] = 2
    learning_rate: Annotated[float, Gt(0)] = 1.0
    rho: Annotated[float, Gt(0), Lt(1)] = 0.9
    epsilon: Annotated[float, Gt(0)] = 1e-6
    EXAMPLES: ClassVar[Examples] = ({}, {"rho": 0.7, "epsilon": 1e-3})

    @property
    def slots(self) -> tuple[str, ...]:
        return ("s", "u")

    def coefficients(self, step: int, rate: Any) -> Numbers:
        return self.rho, self.epsilon / (1 - self.rho), rate

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        (s, u), (rho, epsilon, rate), (divisor, change) = slots, coefficients, scratch
        s *= rho
        xp.multiply(g, g, out=divisor)
        s += divisor
        xp.add(s, epsilon, out=divisor)
        xp.add(u, epsilon, out=change)
        change /= divisor
        xp.sqrt(change, out=change)
        change *= g
        u *= rho
        xp.multiply(change, change, out=divisor)
        u += divisor
        change *= rate
        w -= change
