"""RAdam: rectified Adam."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from core.family import member
from core.nn.adaptive import Adaptive, accumulate
from core.nn.array import Array
from core.nn.hyper import power, root


@member
class RAdam(Adaptive):
    """Adam that does without the mean square until enough gradients make it trustworthy.

    With `p = 2 / (1 - b2) - 1` and `q = p - 2 t b2^t / (1 - b2^t)`: once `q > 5`, Adam's step times
    `sqrt((q - 4)(q - 2) p / ((p - 4)(p - 2) q))`; before that `w -= rate m / (1 - b1^t)`.
    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (2020), algorithm 2.
    """

    kind: Literal["radam"] = "radam"

    def coefficients(self, step: int, rate: Any) -> tuple[Any, ...]:
        adaptive, plus, scale = _spread(self.beta2, self.epsilon, step)
        first = (1 - self.beta1) / (1 - power(self.beta1, step))
        return self.beta1, self.beta2, adaptive, plus, rate * first * scale

    def update(
        self,
        xp: Any,
        w: Array,
        g: Array,
        slots: tuple[Array, ...],
        coefficients: tuple[Any, ...],
        scratch: tuple[Array, ...],
    ) -> None:
        (m, v), (beta1, beta2, adaptive, plus, rate) = slots, coefficients
        accumulate(xp, m, v, g, beta1, beta2)
        xp.sqrt(v, out=g)
        g *= adaptive
        g += plus
        xp.divide(m, g, out=g)
        g *= rate
        w -= g

    @classmethod
    def examples(cls) -> Iterator["RAdam"]:
        yield cls()
        yield cls(beta1=0.8, beta2=0.9)
        yield cls(beta2=0.5)


def _spread(beta2: Any, epsilon: Any, step: int) -> tuple[Any, Any, Any]:
    """`a`, `b`, `c` of the step `c m / (a sqrt(v) + b)`: 1 and epsilon if rectified, else 0 and 1.

    Numbers for numbers, arrays for an array.
    """
    if isinstance(beta2, np.ndarray) or isinstance(epsilon, np.ndarray):
        every = np.broadcast_arrays(beta2, epsilon)
        rows = [
            _spread(float(b), float(e), step) for b, e in zip(*(a.flat for a in every), strict=True)
        ]
        columns = np.array(rows).T.reshape(3, *every[0].shape)
        return columns[0], columns[1], columns[2]
    past = power(beta2, step)
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * past / (1 - past)
    if length <= 5:
        return 0.0, 1.0, 1.0
    up = (length - 4) * (length - 2) * longest
    down = (longest - 4) * (longest - 2) * length
    root_rest = root(1 - beta2)
    return 1.0, epsilon / root_rest, root(up / down) * root(1 - past) / root_rest
