"""Adam."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from core.family import member
from core.nn.array import Array
from core.nn.hyper import power, root
from core.nn.optimizer import Optimizer, moments


@member
class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
    `w -= rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)`.
    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.
    """

    kind: Literal["adam"] = "adam"
    learning_rate: Annotated[float, Gt(0)] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.999
    epsilon: Annotated[float, Gt(0)] = 1e-8

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "v")

    def coefficients(self, step: int, rate: Any) -> tuple[Any, ...]:
        scale = root((1 - self.beta2) / (1 - power(self.beta2, step)))
        first = (1 - self.beta1) / (1 - power(self.beta1, step))
        return self.beta1, self.beta2, self.epsilon / scale, rate * first / scale

    def update(
        self,
        xp: Any,
        w: Array,
        g: Array,
        slots: tuple[Array, ...],
        coefficients: tuple[Any, ...],
        scratch: tuple[Array, ...],
    ) -> None:
        (m, v), (beta1, beta2, epsilon, rate) = slots, coefficients
        moments(xp, m, v, g, (beta1, beta2))
        xp.sqrt(v, out=g)
        g += epsilon
        xp.divide(m, g, out=g)
        g *= rate
        w -= g

    @classmethod
    def examples(cls) -> Iterator["Adam"]:
        yield cls()
        yield cls(beta1=0.8, beta2=0.9, epsilon=1e-3)
