"""Lion."""

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from core.family import Examples, member
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers
from core.nn.optimizer import Optimizer


@member
class Lion(Optimizer):
    """Steps of constant size in the sign of a mix of the gradient and its moving average.

    `w -= rate (sign(b1 m + (1 - b1) g) + weight_decay w)`, then `m = b2 m + (1 - b2) g`.
    Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023), program 1. The slot `m`
    omits the factor `1 - b2`.
    """

    kind: Literal["lion"] = "lion"
    learning_rate: Annotated[float, Gt(0)] = 0.0001
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.99
    weight_decay: Annotated[float, Ge(0)] = 0.0
    EXAMPLES: ClassVar[Examples] = ({}, {"beta1": 0.8, "beta2": 0.7, "weight_decay": 0.2})

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m",)

    def coefficients(self, step: int, rate: Any) -> Numbers:
        mix = self.beta1 * (1 - self.beta2) / (1 - self.beta1)
        return mix, self.beta2, 1 - rate * self.weight_decay, rate

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        (m,), (mix, beta2, kept, rate), (change,) = slots, coefficients, scratch
        xp.multiply(m, mix, out=change)
        change += g
        xp.sign(change, out=change)
        change *= rate
        w *= kept
        w -= change
        m *= beta2
        m += g
