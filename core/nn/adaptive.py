"""Base of Adam and its variants: moving averages of the gradient and of its square."""

from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from core.family import member
from core.nn.array import Array
from core.nn.hyperparameters import Numbers, power, root
from core.nn.optimizer import Optimizer


@member
class Adaptive(Optimizer):
    """`m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, and steps of `m / (sqrt(v) + epsilon)`.

    Both averages start at 0 and are corrected for it: `m / (1 - b1^t)`, `v / (1 - b2^t)`. Kingma
    and Ba, "Adam: A Method for Stochastic Optimization" (2015), section 3.
    """

    learning_rate: Annotated[float, Gt(0)] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.999
    epsilon: Annotated[float, Gt(0)] = 1e-8

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "v")

    def coefficients(self, step: int, rate: Any) -> Numbers:
        """The coefficients of `accumulate`, then of `descend`."""
        scale = root((1 - self.beta2) / (1 - power(self.beta2, step)))
        first = (1 - self.beta1) / (1 - power(self.beta1, step))
        return self.beta1, self.beta2, self.epsilon / scale, rate * first / scale


def accumulate(m: Array, v: Array, g: Array, beta1: Any, beta2: Any) -> None:
    """Update `m = b1 m + g` and `v = b2 v + g^2` in place; overwrites `g` with its square.

    The moving averages of the paper are `(1 - b1) m` and `(1 - b2) v`. The constant factors are
    part of the coefficients of `descend`, which saves two passes over memory.
    """
    m *= beta1
    m += g
    v *= beta2
    g *= g
    v += g


def descend(xp: Any, w: Array, g: Array, m: Array, v: Array, epsilon: Any, rate: Any) -> None:
    """Update `w -= rate m / (sqrt(v) + epsilon)` in place; overwrites `g`."""
    xp.sqrt(v, out=g)
    g += epsilon
    xp.divide(m, g, out=g)
    g *= rate
    w -= g
