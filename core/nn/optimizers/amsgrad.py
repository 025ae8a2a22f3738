"""AMSGrad."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from core.family import member
from core.nn.array import Array
from core.nn.hyper import power, root
from core.nn.optimizer import Optimizer, moments


@member
class AmsGrad(Optimizer):
    """Adam whose steps are scaled by the largest running mean square so far.

    `v^ = max(v^, v)` takes the place of v: a rate never grows again. Reddi, Kale and Kumar, "On the
    Convergence of Adam and Beyond" (2018), algorithm 2, with Adam's corrections of the means.
    """

    kind: Literal["amsgrad"] = "amsgrad"
    learning_rate: Annotated[float, Gt(0)] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.999
    epsilon: Annotated[float, Gt(0)] = 1e-8

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "v", "largest")

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
        (m, v, largest), (beta1, beta2, epsilon, rate) = slots, coefficients
        moments(xp, m, v, g, (beta1, beta2))
        xp.maximum(largest, v, out=largest)
        xp.sqrt(largest, out=g)
        g += epsilon
        xp.divide(m, g, out=g)
        g *= rate
        w -= g

    @classmethod
    def examples(cls) -> Iterator["AmsGrad"]:
        yield cls()
        yield cls(beta1=0.8, beta2=0.5, epsilon=1e-3)
