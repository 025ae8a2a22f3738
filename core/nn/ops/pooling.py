"""Pooling: the largest or the mean number under each window, channel by channel."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from core.family import member
from core.nn.array import Array, Shape
from core.nn.layer import Backprop, Layer, Scope, ShapeError
from core.nn.ops.windows import (
    Extent,
    Grid,
    Padding,
    PaddingPair,
    Pair,
    grid,
    over_series,
    pair,
    series_grid,
)


@member
class Pool2d(Layer):
    """What poolings of images `(height, width, channels)` have in common."""

    size: Pair = 2
    stride: Pair | None = None
    padding: PaddingPair = "valid"

    @staticmethod
    @abstractmethod
    def pool(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
        """What becomes of the numbers under each window, and backprop."""

    def output(self, shape: Shape) -> Shape:
        found = self.grid(shape)
        return (found.rows.count, found.columns.count, shape[-1])

    def grid(self, shape: Shape) -> Grid:
        """The windows over features of `shape`. Raises ShapeError."""
        stride = self.size if self.stride is None else self.stride
        return _checked(grid(shape, pair(self.size), stride, self.padding))

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        return self.pool(x, self.grid(scope.shape), scope)

    @classmethod
    def examples(cls) -> Iterator[tuple[Layer, Shape]]:
        yield cls(), (4, 5, 2)
        yield cls(size=3, stride=2, padding="same"), (5, 4, 1)
        yield cls(size=(2, 3), stride=1, padding=1), (3, 3, 2)


@member
class GlobalPool(Layer):
    """What poolings over all places of an image or series have in common: channels remain."""

    def output(self, shape: Shape) -> Shape:
        if len(shape) < 2:
            raise ShapeError(f"{self.kind} needs places and channels, not {shape}")
        return shape[-1:]

    @classmethod
    def examples(cls) -> Iterator[tuple[Layer, Shape]]:
        yield cls(), (4, 2)
        yield cls(), (2, 3, 2)


@member
class Pool1d(Layer):
    """What poolings of series `(time, channels)` have in common."""

    size: Extent = 2
    stride: Extent | None = None
    padding: Padding = "valid"

    @staticmethod
    @abstractmethod
    def pool(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
        """What becomes of the numbers under each window of images of height 1, and backprop."""

    def output(self, shape: Shape) -> Shape:
        return (self.grid(shape).columns.count, shape[-1])

    def grid(self, shape: Shape) -> Grid:
        """The windows over features of `shape`. Raises ShapeError."""
        stride = self.size if self.stride is None else self.stride
        return _checked(series_grid(shape, self.size, stride, self.padding))

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        grid = self.grid(scope.shape)
        return over_series(lambda images: self.pool(images, grid, scope), x)

    @classmethod
    def examples(cls) -> Iterator[tuple[Layer, Shape]]:
        yield cls(), (5, 2)
        yield cls(size=3, stride=1, padding=1), (4, 1)
        yield cls(size=3, stride=2, padding="same"), (5, 2)


def _checked(found: Grid) -> Grid:
    for one in (found.rows, found.columns):
        if max(one.before, one.after) >= one.size:
            raise ShapeError(f"padding {one.before} would fill a whole window of {one.size}")
    return found


def largest(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
    """The largest number under each window; its gradient goes to the first place that holds it.

    `x` is `(..., height, width, channels)`. Padding never wins.
    """
    xp = scope.xp
    padded = grid.pad(x, scope, -xp.inf)
    shape = (*x.shape[:-3], grid.rows.count, grid.columns.count, x.shape[-1])
    y = scope.buffer("y", shape)
    # Which cell won, by its number: a later one wins only by being larger.
    count = np.dtype("uint8" if grid.cells < 256 else "int32")
    winner, later = scope.buffer("winner", shape, count), scope.buffer("later", shape, count)
    above = scope.buffer("above", shape, bool)
    for cell, where in enumerate(grid.cell_places()):
        candidate = padded[where]
        if cell == 0:
            y[...] = candidate
            winner[...] = 0
            continue
        xp.greater(candidate, y, out=above)
        xp.maximum(candidate, y, out=y)
        xp.multiply(above, count.type(cell), out=later)
        xp.maximum(winner, later, out=winner)

    def backprop(dy: Array) -> Array:
        def share(cell: int, out: Array) -> None:
            xp.multiply(dy, xp.equal(winner, cell, out=above), out=out)

        return _spread(share, grid, scope, padded.shape)

    return y, backprop


def mean(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
    """The mean of the numbers under each window; padding does not count.

    `x` is `(..., height, width, channels)`.
    """
    xp = scope.xp
    padded = grid.pad(x, scope, 0.0)
    shape = (*x.shape[:-3], grid.rows.count, grid.columns.count, x.shape[-1])
    y = scope.buffer("y", shape)
    for cell, where in enumerate(grid.cell_places()):
        if cell == 0:
            y[...] = padded[where]
        else:
            y += padded[where]
    share = xp.asarray(1 / grid.covered(), scope.dtype)[..., None]
    y *= share

    def backprop(dy: Array) -> Array:
        return _spread(lambda _, out: xp.multiply(dy, share, out=out), grid, scope, padded.shape)

    return y, backprop


def _spread(share: Callable[[int, Array], Any], grid: Grid, scope: Scope, shape: Shape) -> Array:
    """Give each place the sum of what the windows over it give it; the padding is cut off.

    `share(cell, out)` writes what each window gives to its cell of that number.
    """
    dx = scope.buffer("dx", shape)
    dx[...] = 0
    part = None
    if not grid.is_tiling:
        places = (grid.rows.count, grid.columns.count)
        part = scope.buffer("part", (*shape[:-3], *places, shape[-1]))
    for cell, where in enumerate(grid.cell_places()):
        if part is None:
            share(cell, dx[where])
        else:
            share(cell, part)
            dx[where] += part
    return dx[grid.inside] if grid.is_padded else dx
