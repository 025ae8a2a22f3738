"""Initializers draw the initial weights of a layer in float64 from a seeded generator."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Gt

from core.family import Examples, Family, member
from core.nn.array import Array, Shape


class Initializer(Family):
    """Base of initializers. `fan_in` and `fan_out` count the inputs and outputs of one unit."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        """Return float64 weights of `shape`."""

    @classmethod
    def examples(cls) -> Iterator[Self]:
        """Yield members to test."""
        return (cls(**fields) for fields in cls.EXAMPLES)


@member
class Zeros(Initializer):
    """All weights are 0. Suited to biases; units with equal weights stay equal."""

    kind: Literal["zeros"] = "zeros"

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return np.zeros(shape)


@member
class Ones(Initializer):
    """All weights are 1. Suited to scales."""

    kind: Literal["ones"] = "ones"

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return np.ones(shape)


@member
class Constant(Initializer):
    """All weights are `value`."""

    kind: Literal["constant"] = "constant"
    value: float = 0.0
    EXAMPLES: ClassVar[Examples] = ({"value": 0.25},)

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return np.full(shape, self.value)


@member
class Uniform(Initializer):
    """Uniformly distributed between `minimum` and `maximum`."""

    kind: Literal["uniform"] = "uniform"
    minimum: float = -0.05
    maximum: float = 0.05
    EXAMPLES: ClassVar[Examples] = ({}, {"minimum": 0.1, "maximum": 0.9})

    def __post_init__(self) -> None:
        if np.any(self.minimum > self.maximum):  # arrays in a stack
            raise ValueError("minimum must not be above maximum")

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return rng.uniform(self.minimum, self.maximum, shape)


@member
class Normal(Initializer):
    """Normally distributed with mean `mean` and standard deviation `deviation`."""

    kind: Literal["normal"] = "normal"
    mean: float = 0.0
    deviation: Annotated[float, Ge(0)] = 0.05

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return rng.normal(self.mean, self.deviation, shape)


@member
class TruncatedNormal(Initializer):
    """Normally distributed; values more than `bound` deviations from `mean` are redrawn."""

    kind: Literal["truncated_normal"] = "truncated_normal"
    mean: float = 0.0
    deviation: Annotated[float, Ge(0)] = 0.05
    bound: Annotated[float, Ge(0.5)] = 2.0
    EXAMPLES: ClassVar[Examples] = ({}, {"mean": 1.0, "deviation": 0.2, "bound": 1.0})

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        drawn = rng.standard_normal(shape)
        outside = np.abs(drawn) > self.bound
        while outside.any():
            drawn[outside] = rng.standard_normal(int(outside.sum()))
            outside = np.abs(drawn) > self.bound
        return self.mean + self.deviation * drawn


def _scaled(rng: np.random.Generator, shape: Shape, variance: float, distribution: str) -> Array:
    """Weights of mean 0 and the given variance, uniformly or normally distributed."""
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return rng.uniform(-limit, limit, shape)
    return rng.normal(0.0, math.sqrt(variance), shape)


@member
class Xavier(Initializer):
    """Variance `gain^2 2 / (fan_in + fan_out)`, which preserves variance through tanh and sigmoid.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks"
    (2010), equation 16. Also known as Glorot initialization.
    """

    kind: Literal["xavier"] = "xavier"
    distribution: Literal["uniform", "normal"] = "uniform"
    gain: Annotated[float, Gt(0)] = 1.0
    EXAMPLES: ClassVar[Examples] = ({}, {"distribution": "normal"})

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        variance = self.gain**2 * 2.0 / max(1, fan_in + fan_out)
        return _scaled(rng, shape, variance, self.distribution)


@member
class He(Initializer):
    """Variance `2 / fan_in`, which preserves variance through relu.

    He et al., "Delving Deep into Rectifiers" (2015), equation 10.
    """

    kind: Literal["he"] = "he"
    distribution: Literal["uniform", "normal"] = "normal"
    EXAMPLES: ClassVar[Examples] = ({}, {"distribution": "uniform"})

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return _scaled(rng, shape, 2.0 / max(1, fan_in), self.distribution)


@member
class LeCun(Initializer):
    """Variance `1 / fan_in`, which preserves variance through tanh and selu.

    LeCun et al., "Efficient BackProp" (1998), section 4.6.
    """

    kind: Literal["lecun"] = "lecun"
    distribution: Literal["uniform", "normal"] = "normal"
    EXAMPLES: ClassVar[Examples] = ({}, {"distribution": "uniform"})

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return _scaled(rng, shape, 1.0 / max(1, fan_in), self.distribution)


@member
class Orthogonal(Initializer):
    """Orthonormal rows or columns, whichever are fewer, times `gain`.

    All axes except the last are flattened into rows. The weights are the factor Q of the QR
    decomposition of a Gaussian matrix, with the signs that make it unique. Saxe, McClelland and
    Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks"
    (2014).
    """

    kind: Literal["orthogonal"] = "orthogonal"
    gain: Annotated[float, Gt(0)] = 1.0
    EXAMPLES: ClassVar[Examples] = ({}, {"gain": 2.0})

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        columns = shape[-1] if shape else 1
        rows = math.prod(shape) // max(1, columns)
        tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.copysign(1.0, np.diagonal(r))
        return self.gain * (q if rows >= columns else q.T).reshape(shape)
