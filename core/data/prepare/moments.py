"""Mean and deviation of numbers that arrive in blocks, without losing digits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


class Moments:
    """Counts, means and sums of squared distances, joined as Chan, Golub and LeVeque do (1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(())
        self._squares: NDArray[np.float64] = np.zeros(())

    def add(self, block: Floats, axes: tuple[int, ...]) -> None:
        """Add numbers; `axes` are averaged over."""
        count = int(np.prod([block.shape[axis] for axis in axes]))
        if not count:
            return
        mean = np.asarray(block.mean(axis=axes, dtype=np.float64))
        squares = np.asarray(np.square(block - mean).sum(axis=axes, dtype=np.float64))
        total = self.count + count
        distance = mean - self.mean
        between = np.square(distance) * (self.count * count / total)
        self._squares = self._squares + squares + between
        self.mean = self.mean + distance * (count / total)
        self.count = total

    @property
    def deviation(self) -> NDArray[np.float64]:
        """The standard deviation of all numbers added so far."""
        return np.asarray(np.sqrt(self._squares / max(1, self.count)))


def divisor(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """The deviation, or 1 where it is no more than the rounding error of a constant.

    A sum of `count` numbers is off by up to `count` times its last digit, and so is their mean:
    Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance" (1983).
    """
    size = np.abs(mean)
    floor = np.finfo(np.float64).eps * np.maximum(8 * np.maximum(size, 1.0), count * size)
    return np.where(deviation > floor, deviation, 1.0)
