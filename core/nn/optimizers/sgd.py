"""Stochastic gradient descent, optionally with momentum."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from core.family import Examples, member
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers
from core.nn.optimizer import Optimizer


@member
class Sgd(Optimizer):
    """`w -= rate g`; with momentum `v = momentum v + g`, `w -= rate v` (Polyak, 1964).

    With `nesterov`, `w -= rate (g + momentum v)` (Sutskever et al., "On the importance of
    initialization and momentum in deep learning", 2013, in its common form).
    """

    kind: Literal["sgd"] = "sgd"
    learning_rate: Annotated[float, Gt(0)] = 0.01
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    nesterov: bool = False
    EXAMPLES: ClassVar[Examples] = ({}, {"momentum": 0.9}, {"momentum": 0.8, "nesterov": True})

    def __post_init__(self) -> None:
        if self.nesterov and not self._has_momentum:
            raise ValueError("nesterov needs a momentum above 0")

    @property
    def _has_momentum(self) -> bool:
        return bool(np.any(self.momentum))

    @property
    def slots(self) -> tuple[str, ...]:
        return ("v",) if self._has_momentum else ()

    def coefficients(self, step: int, rate: Any) -> Numbers:
        return (self.momentum, rate) if self._has_momentum else (rate,)

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        if not slots:
            g *= coefficients[0]
        else:
            (v,), (momentum, rate), (ahead,) = slots, coefficients, scratch
            v *= momentum
            v += g
            if self.nesterov:
                xp.multiply(v, momentum, out=ahead)
                g += ahead
                g *= rate
            else:
                xp.multiply(v, rate, out=g)
        w -= g
