"""The default: features shifted and scaled by what the training rows teach."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from core.data.prepare.moments import Moments
from core.errors import InvalidError

Floats = NDArray[np.floating[Any]]
BLOCK_NUMBERS = 1 << 18


@dataclass(frozen=True)
class Standardizer:
    """Shift and scale so that the training rows have mean 0 and standard deviation 1.

    `mean` and `scale` are float64, one number for each feature: the shape of a row, or (channels,)
    for images (height, width, channel). A feature that never varies is only shifted.
    """

    MEAN: ClassVar[str] = "standardize.mean"
    SCALE: ClassVar[str] = "standardize.scale"

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, x: Floats) -> Self:
        """Learn from `x` (rows, ...), the training rows and no others.

        Raises InvalidError when there are no rows.
        """
        if len(x) == 0:
            raise InvalidError("no rows to learn the preparation from")
        axes = tuple(range(x.ndim - 1)) if x.ndim >= 4 else (0,)
        mean = np.asarray(x.mean(axis=axes, dtype=np.float64))
        squares = sum(np.square(block - mean).sum(axis=axes) for block in _blocks(x))
        deviation = np.sqrt(squares * (mean.size / x.size))
        return cls(mean, divisor(mean, deviation, x.size // mean.size))

    @classmethod
    def fit_blocks(cls, blocks: Iterable[Floats]) -> Self:
        """As `fit`, of rows that come some at a time; the last digits may differ from its."""
        moments = Moments()
        for x in blocks:
            moments.add(x, tuple(range(x.ndim - 1)) if x.ndim >= 4 else (0,))
        if not moments.count:
            raise InvalidError("no rows to learn the preparation from")
        return cls(moments.mean, divisor(moments.mean, moments.deviation, moments.count))

    def sparing(self, finished: NDArray[np.bool_]) -> Self:
        """It without effect where `finished` (one for each feature) says so."""
        spared = (
            finished.reshape(self.mean.shape) if self.mean.size == finished.size else finished.all()
        )
        return type(self)(np.where(spared, 0.0, self.mean), np.where(spared, 1.0, self.scale))

    def unresolved(self, dtype: DTypeLike) -> NDArray[np.bool_]:
        """For each feature, whether its mean costs the deviation half the digits of `dtype`.

        Numbers of `dtype` around such a mean are rounded too coarsely to learn from: seconds since
        1970 are multiples of 128 in float32.
        """
        most = 1 / np.sqrt(np.finfo(dtype).eps)
        return np.asarray(np.abs(self.mean) > most * self.scale).ravel()

    def apply(self, x: Floats) -> Floats:
        """The rows shifted and scaled, in the float type they came in."""
        out = np.empty_like(x)
        for block, target in zip(_blocks(x), _blocks(out), strict=True):
            target[...] = (block - self.mean) / self.scale
        return out

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """What was learned, named for a safetensors file."""
        return {self.MEAN: self.mean, self.SCALE: self.scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self | None:
        """The standardizer that `arrays()` wrote, or None when there is none among `arrays`."""
        if cls.MEAN not in arrays:
            return None
        return cls(
            np.asarray(arrays[cls.MEAN], np.float64), np.asarray(arrays[cls.SCALE], np.float64)
        )


def divisor(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """The deviation, or 1 of what never varies: what rounding leaves of it is no divisor.

    A sum of `count` numbers is off by up to `count` times its last digit, and so is their mean:
    Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance" (1983).
    """
    size = np.abs(mean)
    floor = np.finfo(np.float64).eps * np.maximum(8 * np.maximum(size, 1.0), count * size)
    return np.where(deviation > floor, deviation, 1.0)


def _blocks(x: Floats) -> Iterator[Floats]:
    """Views of some rows each, so that the float64 arithmetic needs little memory."""
    rows = max(1, BLOCK_NUMBERS * len(x) // max(1, x.size))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]
