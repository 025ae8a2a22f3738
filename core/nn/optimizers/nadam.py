"""Nadam: Adam with Nesterov momentum."""

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt

from core.family import Examples, member
from core.nn.adaptive import Adaptive
from core.nn.array import Array, Arrays
from core.nn.hyperparameters import Numbers, per_network, power, root


@member
class Nadam(Adaptive):
    """Adam with Nesterov momentum and a warm-up `u_t` of the momentum.

    `u_t = b1 (1 - 0.96^(t d) / 2)` with `d = momentum_decay`,
    `m^ = u_{t+1} m / (1 - u_1 ... u_{t+1}) + (1 - u_t) g / (1 - u_1 ... u_t)`,
    `w -= rate m^ / (sqrt(v / (1 - b2^t)) + epsilon)`.
    Dozat, "Incorporating Nesterov Momentum into Adam" (2016), section 4.
    """

    kind: Literal["nadam"] = "nadam"
    learning_rate: Annotated[float, Gt(0)] = 0.002
    momentum_decay: Annotated[float, Ge(0)] = 0.004
    EXAMPLES: ClassVar[Examples] = ({}, {"beta1": 0.8, "beta2": 0.9, "momentum_decay": 0.1})

    def coefficients(self, step: int, rate: Any) -> Numbers:
        scale = root((1 - self.beta2) / (1 - power(self.beta2, step)))
        now, coming, product = per_network(
            lambda decay: (_warm_up(decay, step), _warm_up(decay, step + 1), _product(decay, step)),
            self.momentum_decay,
        )
        now, coming = self.beta1 * now, self.beta1 * coming
        product = power(self.beta1, step) * product
        return (
            self.beta1,
            self.beta2,
            self.epsilon / scale,
            rate * (1 - now) / (1 - product) / scale,
            rate * coming * (1 - self.beta1) / (1 - product * coming) / scale,
        )

    def update(
        self, xp: Any, w: Array, g: Array, slots: Arrays, coefficients: Numbers, scratch: Arrays
    ) -> None:
        (m, v), (change,) = slots, scratch
        beta1, beta2, epsilon, gradient_rate, mean_rate = coefficients
        m *= beta1
        m += g
        xp.multiply(g, g, out=change)
        v *= beta2
        v += change
        g *= gradient_rate
        xp.multiply(m, mean_rate, out=change)
        g += change
        xp.sqrt(v, out=change)
        change += epsilon
        g /= change
        w -= g


def _warm_up(decay: float, step: int) -> float:
    """The factor `1 - 0.96^(step decay) / 2` of the momentum at `step`."""
    factor: float = 1 - 0.5 * 0.96 ** (step * decay)
    return factor


def _product(decay: float, step: int) -> float:
    """The product of the warm-up factors of all steps up to `step`."""
    done, product = _products.get(decay, (0, 1.0))
    if done > step:
        done, product = 0, 1.0
    for i in range(done + 1, step + 1):
        product *= _warm_up(decay, i)
    if len(_products) > 4096:
        _products.clear()
    _products[decay] = (step, product)
    return product


_products: dict[float, tuple[int, float]] = {}
"""The step and product computed last for each decay; the next step multiplies one factor."""
