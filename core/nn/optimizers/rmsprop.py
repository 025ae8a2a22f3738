"""RMSprop."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.family import Examples, member
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers, root
from core.nn.optimizer import Optimizer


@member
class RmsProp(Optimizer):
    """Steps scaled by a moving average of squared gradients.

    `s = rho s + (1 - rho) g^2`, `w -= rate g / (sqrt(s) + eps)` (Hinton, lecture 6e of "Neural
    Networks for Machine Learning", 2012). `centered` subtracts the squared moving average of g from
    s (Graves, "Generating Sequences With Recurrent Neural Networks", 2013, equations 38 to 45).
    With momentum, `v = momentum v + g / (sqrt(s) + eps)` and `w -= rate v`. The slots of moving
    averages omit the factor `1 - rho`.
    """

    kind: Literal["rmsprop"] = "rmsprop"
    learning_rate: Annotated[float, Gt(0)] = 0.01
    rho: Annotated[float, Ge(0), Lt(1)] = 0.99
    epsilon: Annotated[float, Gt(0)] = 1e-8
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    centered: bool = False
    EXAMPLES: ClassVar[Examples] = (
        {},
        {"rho": 0.9, "momentum": 0.8},
        {"rho": 0.8, "centered": True, "epsilon": 1e-3},
        {"rho": 0.9, "momentum": 0.5, "centered": True, "epsilon": 1e-3},
    )

    @property
    def slots(self) -> tuple[str, ...]:
        mean = ("mean",) if self.centered else ()
        return ("s", *mean, "v") if np.any(self.momentum) else ("s", *mean)

    def coefficients(self, step: int, rate: Any) -> Numbers:
        scale = root(1 - self.rho)
        return self.rho, 1 - self.rho, self.epsilon / scale, self.momentum, rate / scale

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        s, *more = slots
        rho, rest, epsilon, momentum, rate = coefficients
        (divisor,) = scratch
        s *= rho
        xp.multiply(g, g, out=divisor)
        s += divisor
        if self.centered:
            mean = more[0]
            mean *= rho
            mean += g
            xp.multiply(mean, mean, out=divisor)
            divisor *= rest
            xp.subtract(s, divisor, out=divisor)
            xp.maximum(divisor, 0.0, out=divisor)
            xp.sqrt(divisor, out=divisor)
        else:
            xp.sqrt(s, out=divisor)
        divisor += epsilon
        xp.divide(g, divisor, out=divisor)
        if len(more) > self.centered:
            v = more[-1]
            v *= momentum
            v += divisor
            xp.multiply(v, rate, out=divisor)
        else:
            divisor *= rate
        w -= divisor
