"""Mean and deviation of numbers that come block by block, without losing digits on the way."""

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
        """Take numbers in; `axes` are those that are averaged over."""
        count = int(np.prod([block.shape[axis] for axis in axes]))
        if not count:
            return
        mean = np.asarray(block.mean(axis=axes, dtype=np.float64))
        squares = np.asarray(np.square(block - mean).sum(axis=axes, dtype=np.float64))
        total = self.count + count
        apart = mean - self.mean
        self._squares = self._squares + squares + np.square(apart) * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def deviation(self) -> NDArray[np.float64]:
        """The standard deviation of all numbers so far."""
        return np.asarray(np.sqrt(self._squares / max(1, self.count)))
