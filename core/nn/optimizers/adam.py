"""Adam."""

from typing import Any, ClassVar, Literal

from core.family import Examples, member
from core.nn.adaptive import Adaptive, accumulate, descend
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers


@member
class Adam(Adaptive):
    """Steps scaled by moving averages of the gradient and of its square.

    `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
    `w -= rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)`.
    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.
    """

    kind: Literal["adam"] = "adam"
    EXAMPLES: ClassVar[Examples] = ({}, {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3})

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        (m, v), (beta1, beta2, epsilon, rate) = slots, coefficients
        accumulate(m, v, g, beta1, beta2)
        descend(xp, w, g, m, v, epsilon, rate)
