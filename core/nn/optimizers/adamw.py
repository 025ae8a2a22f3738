"""AdamW: Adam with decoupled weight decay."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from core.family import member
from core.nn.array import Array
from core.nn.hyper import power, root
from core.nn.optimizer import Optimizer, moments


@member
class AdamW(Optimizer):
    """Adam, and every weight shrinks by `rate weight_decay w` beside it.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2. All weights
    decay, biases too; `regularization.weight_decay` spares those that should not.
    """

    kind: Literal["adamw"] = "adamw"
    learning_rate: Annotated[float, Gt(0)] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.999
    epsilon: Annotated[float, Gt(0)] = 1e-8
    weight_decay: Annotated[float, Ge(0)] = 0.01

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "v")

    def coefficients(self, step: int, rate: Any) -> tuple[Any, ...]:
        scale = root((1 - self.beta2) / (1 - power(self.beta2, step)))
        first = (1 - self.beta1) / (1 - power(self.beta1, step))
        kept = 1 - rate * self.weight_decay
        return self.beta1, self.beta2, self.epsilon / scale, rate * first / scale, kept

    def update(
        self,
        xp: Any,
        w: Array,
        g: Array,
        slots: tuple[Array, ...],
        coefficients: tuple[Any, ...],
        scratch: tuple[Array, ...],
    ) -> None:
        (m, v), (beta1, beta2, epsilon, rate, kept) = slots, coefficients
        w *= kept
        moments(xp, m, v, g, (beta1, beta2))
        xp.sqrt(v, out=g)
        g += epsilon
        xp.divide(m, g, out=g)
        g *= rate
        w -= g

    @classmethod
    def examples(cls) -> Iterator["AdamW"]:
        yield cls()
        yield cls(beta1=0.8, beta2=0.9, weight_decay=0.3)
