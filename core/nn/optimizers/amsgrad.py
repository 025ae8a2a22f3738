"""AMSGrad."""

from typing import Any, ClassVar, Literal

from core.family import Examples, member
from core.nn.adaptive import Adaptive, accumulate, descend
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers


@member
class AmsGrad(Adaptive):
    """Adam with steps scaled by the maximum of all moving mean squares so far.

    `v^ = max(v^, v)` replaces v, so the step size of a weight never increases. Reddi, Kale and
    Kumar, "On the Convergence of Adam and Beyond" (2018), algorithm 2, with Adam's bias
    correction.
    """

    kind: Literal["amsgrad"] = "amsgrad"
    EXAMPLES: ClassVar[Examples] = ({}, {"beta1": 0.8, "beta2": 0.5, "epsilon": 1e-3})

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "v", "largest")

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        (m, v, largest), (beta1, beta2, epsilon, rate) = slots, coefficients
        accumulate(m, v, g, beta1, beta2)
        xp.maximum(largest, v, out=largest)
        descend(xp, w, g, m, largest, epsilon, rate)
