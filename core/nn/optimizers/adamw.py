"""AdamW: Adam with decoupled weight decay."""

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from core.family import Examples, member
from core.nn.adaptive import Adaptive, accumulate, descend
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers


@member
class AdamW(Adaptive):
    """Adam with decoupled weight decay: each update also subtracts `rate weight_decay w`.

    All weights decay, biases included; `regularization.weight_decay` excludes biases. Loshchilov
    and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2.
    """

    kind: Literal["adamw"] = "adamw"
    weight_decay: Annotated[float, Ge(0)] = 0.01
    EXAMPLES: ClassVar[Examples] = ({}, {"beta1": 0.8, "beta2": 0.9, "weight_decay": 0.3})

    def coefficients(self, step: int, rate: Any) -> Numbers:
        return *super().coefficients(step, rate), 1 - rate * self.weight_decay

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        (m, v), (beta1, beta2, epsilon, rate, kept) = slots, coefficients
        w *= kept
        accumulate(m, v, g, beta1, beta2)
        descend(xp, w, g, m, v, epsilon, rate)
