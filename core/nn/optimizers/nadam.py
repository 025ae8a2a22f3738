"""Nadam: Adam that looks ahead."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt

from core.family import member
from core.nn.adaptive import Adaptive
from core.nn.array import Array
from core.nn.hyper import power, root


@member
class Nadam(Adaptive):
    """Adam with Nesterov's look ahead, its momentum warming up as `u_t`.

    `u_t = b1 (1 - 0.96^(t d) / 2)` with `d = momentum_decay`,
    `m^ = u_{t+1} m / (1 - u_1 ... u_{t+1}) + (1 - u_t) g / (1 - u_1 ... u_t)`,
    `w -= rate m^ / (sqrt(v / (1 - b2^t)) + epsilon)`.
    Dozat, "Incorporating Nesterov Momentum into Adam" (2016), section 4.
    """

    kind: Literal["nadam"] = "nadam"
    learning_rate: Annotated[float, Gt(0)] = 0.002
    momentum_decay: Annotated[float, Ge(0)] = 0.004

    def coefficients(self, step: int, rate: Any) -> tuple[Any, ...]:
        scale = root((1 - self.beta2) / (1 - power(self.beta2, step)))
        now = self.beta1 * (1 - 0.5 * _fall(self.momentum_decay, step))
        coming = self.beta1 * (1 - 0.5 * _fall(self.momentum_decay, step + 1))
        product = power(self.beta1, step) * _warming(self.momentum_decay, step)
        return (
            self.beta1,
            self.beta2,
            self.epsilon / scale,
            rate * (1 - now) / (1 - product) / scale,
            rate * coming * (1 - self.beta1) / (1 - product * coming) / scale,
        )

    def update(
        self,
        xp: Any,
        w: Array,
        g: Array,
        slots: tuple[Array, ...],
        coefficients: tuple[Any, ...],
        scratch: tuple[Array, ...],
    ) -> None:
        (m, v), (change,) = slots, scratch
        beta1, beta2, epsilon, of_gradient, of_mean = coefficients
        m *= beta1
        m += g
        xp.multiply(g, g, out=change)
        v *= beta2
        v += change
        g *= of_gradient
        xp.multiply(m, of_mean, out=change)
        g += change
        xp.sqrt(v, out=change)
        change += epsilon
        g /= change
        w -= g

    @classmethod
    def examples(cls) -> Iterator["Nadam"]:
        yield cls()
        yield cls(beta1=0.8, beta2=0.9, momentum_decay=0.1)


def _fall(decay: Any, step: int) -> Any:
    """`0.96^(step decay)`: of a number, or of each number of an array."""
    if isinstance(decay, np.ndarray):
        return np.array([_fall(float(d), step) for d in decay.flat]).reshape(decay.shape)
    return 0.96 ** (step * decay)


def _warming(decay: Any, step: int) -> Any:
    """The product of `1 - 0.96^(i decay) / 2` for i up to `step`, by decay or each of an array."""
    if isinstance(decay, np.ndarray):
        return np.array([_warming(float(d), step) for d in decay.flat]).reshape(decay.shape)
    done, product = _products.get(decay, (0, 1.0))
    if done > step:
        done, product = 0, 1.0
    for i in range(done + 1, step + 1):
        product *= 1 - 0.5 * _fall(decay, i)
    if len(_products) > 4096:
        _products.clear()
    _products[decay] = (step, product)
    return product


_products: dict[float, tuple[int, float]] = {}
"""The latest product of each decay, so that the next step costs one factor."""
