"""Adagrad."""

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt

from core.family import Examples, member
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers
from core.nn.optimizer import Optimizer


@member
class Adagrad(Optimizer):
    """`s += g^2`, `w -= rate g / (sqrt(s) + eps)`: steps shrink with the sum of squared gradients.

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization" (2011), section 1.1, diagonal form.
    """

    kind: Literal["adagrad"] = "adagrad"
    learning_rate: Annotated[float, Gt(0)] = 0.01
    epsilon: Annotated[float, Gt(0)] = 1e-10
    EXAMPLES: ClassVar[Examples] = ({}, {"learning_rate": 0.1, "epsilon": 1e-4})

    @property
    def slots(self) -> tuple[str, ...]:
        return ("s",)

    def coefficients(self, step: int, rate: Any) -> Numbers:
        return self.epsilon, rate

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        (s,), (epsilon, rate), (change,) = slots, coefficients, scratch
        xp.multiply(g, g, out=change)
        s += change
        xp.sqrt(s, out=change)
        change += epsilon
        xp.divide(g, change, out=change)
        change *= rate
        w -= change
