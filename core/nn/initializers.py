"""Initializers: the first weights of a layer, drawn in float64 from a seeded generator."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt

from core.family import Family, member
from core.nn.array import Array, Shape


class Initializer(Family):
    """Draws weights. `fan_in` and `fan_out` count the connections into and out of one unit."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        """Float64 weights of `shape`."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator["Initializer"]:
        """Members worth testing."""


@member
class Zeros(Initializer):
    """All zero: for biases, and to see why weights must differ."""

    kind: Literal["zeros"] = "zeros"

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return np.zeros(shape)

    @classmethod
    def examples(cls) -> Iterator["Zeros"]:
        yield cls()


@member
class Uniform(Initializer):
    """Evenly spread between `minimum` and `maximum`."""

    kind: Literal["uniform"] = "uniform"
    minimum: float = -0.05
    maximum: float = 0.05

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise ValueError("minimum must not be above maximum")

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return rng.uniform(self.minimum, self.maximum, shape)

    @classmethod
    def examples(cls) -> Iterator["Uniform"]:
        yield cls()
        yield cls(minimum=0.1, maximum=0.9)


@member
class Normal(Initializer):
    """Gaussian around `mean` with standard deviation `deviation`."""

    kind: Literal["normal"] = "normal"
    mean: float = 0.0
    deviation: Annotated[float, Ge(0)] = 0.05

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return rng.normal(self.mean, self.deviation, shape)

    @classmethod
    def examples(cls) -> Iterator["Normal"]:
        yield cls()


def _scaled(rng: np.random.Generator, shape: Shape, variance: float, distribution: str) -> Array:
    """Weights of mean 0 and the given variance, uniform or normal."""
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return rng.uniform(-limit, limit, shape)
    return rng.normal(0.0, math.sqrt(variance), shape)


@member
class Xavier(Initializer):
    """Variance `2 / (fan_in + fan_out)`: keeps signals steady through sigmoid and tanh.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks"
    (2010), equation 16; also called Glorot.
    """

    kind: Literal["xavier"] = "xavier"
    distribution: Literal["uniform", "normal"] = "uniform"
    gain: Annotated[float, Gt(0)] = 1.0

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        variance = self.gain**2 * 2.0 / max(1, fan_in + fan_out)
        return _scaled(rng, shape, variance, self.distribution)

    @classmethod
    def examples(cls) -> Iterator["Xavier"]:
        yield cls()
        yield cls(distribution="normal")


@member
class He(Initializer):
    """Variance `2 / fan_in`: keeps signals steady through relu.

    He et al., "Delving Deep into Rectifiers" (2015), equation 10.
    """

    kind: Literal["he"] = "he"
    distribution: Literal["uniform", "normal"] = "normal"

    def draw(self, rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return _scaled(rng, shape, 2.0 / max(1, fan_in), self.distribution)

    @classmethod
    def examples(cls) -> Iterator["He"]:
        yield cls()
        yield cls(distribution="uniform")
