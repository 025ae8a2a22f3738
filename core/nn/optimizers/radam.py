"""RAdam: rectified Adam."""

from typing import Any, ClassVar, Literal

from core.family import Examples, member
from core.nn.adaptive import Adaptive, accumulate
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers, per_network, power, root


@member
class RAdam(Adaptive):
    """Adam without the moving mean square until its variance is small enough.

    With `p = 2 / (1 - b2) - 1` and `q = p - 2 t b2^t / (1 - b2^t)`: if `q > 5`, the step is Adam's
    times `sqrt((q - 4)(q - 2) p / ((p - 4)(p - 2) q))`, else `w -= rate m / (1 - b1^t)`.
    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (2020), algorithm 2.
    """

    kind: Literal["radam"] = "radam"
    EXAMPLES: ClassVar[Examples] = ({}, {"beta1": 0.8, "beta2": 0.9}, {"beta2": 0.5})

    def coefficients(self, step: int, rate: Any) -> Numbers:
        adaptive, plus, scale = per_network(
            lambda beta2, epsilon: _rectified(beta2, epsilon, step), self.beta2, self.epsilon
        )
        first = (1 - self.beta1) / (1 - power(self.beta1, step))
        return self.beta1, self.beta2, adaptive, plus, rate * first * scale

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        (m, v), (beta1, beta2, adaptive, plus, rate) = slots, coefficients
        accumulate(m, v, g, beta1, beta2)
        xp.sqrt(v, out=g)
        g *= adaptive
        g += plus
        xp.divide(m, g, out=g)
        g *= rate
        w -= g


def _rectified(beta2: float, epsilon: float, step: int) -> tuple[float, float, float]:
    """The `a`, `b` and `c` of the step `c m / (a sqrt(v) + b)`.

    `a` and `b` are 1 and the scaled epsilon when the step is rectified, else 0 and 1.
    """
    past = beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * past / (1 - past)
    if length <= 5:
        return 0.0, 1.0, 1.0
    up = (length - 4) * (length - 2) * longest
    down = (longest - 4) * (longest - 2) * length
    root_rest = root(1 - beta2)
    return 1.0, epsilon / root_rest, root(up / down) * root(1 - past) / root_rest
