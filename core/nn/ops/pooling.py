"""Pooling: the maximum or the mean of each window, for each channel."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.layer import Backprop, Layer, Reach, Scope, ShapeError
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
    """Base of pooling over images `(height, width, channels)`."""

    reach: ClassVar[Reach] = "input"
    size: Pair = 2
    stride: Pair | None = None
    padding: PaddingPair = "valid"
    EXAMPLES: ClassVar[Examples] = (
        ({}, (4, 5, 2)),
        ({"size": 3, "stride": 2, "padding": "same"}, (5, 4, 1)),
        ({"size": (2, 3), "stride": 1, "padding": 1}, (3, 3, 2)),
    )

    @staticmethod
    @abstractmethod
    def pool(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
        """Return the pooled images and backprop."""

    def output(self, shape: Shape) -> Shape:
        windows = self.grid(shape)
        return (windows.rows.count, windows.columns.count, shape[-1])

    def grid(self, shape: Shape) -> Grid:
        """Return the windows over features of `shape`. Raises ShapeError."""
        stride = self.size if self.stride is None else self.stride
        return _checked(grid(shape, pair(self.size), stride, self.padding))

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        return self.pool(x, self.grid(scope.shape), scope)


@member
class GlobalPool(Layer):
    """Base of pooling over all positions of an image or series, for each channel."""

    reach: ClassVar[Reach] = "input"
    EXAMPLES: ClassVar[Examples] = (({}, (4, 2)), ({}, (2, 3, 2)))

    def output(self, shape: Shape) -> Shape:
        if len(shape) < 2:
            raise ShapeError(f"{self.kind} expects features of shape (..., channels), got {shape}")
        return shape[-1:]


@member
class Pool1d(Layer):
    """Base of pooling over series `(time, channels)`."""

    reach: ClassVar[Reach] = "input"
    size: Extent = 2
    stride: Extent | None = None
    padding: Padding = "valid"
    EXAMPLES: ClassVar[Examples] = (
        ({}, (5, 2)),
        ({"size": 3, "stride": 1, "padding": 1}, (4, 1)),
        ({"size": 3, "stride": 2, "padding": "same"}, (5, 2)),
    )

    @staticmethod
    @abstractmethod
    def pool(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
        """Return the pooled images of height 1 and backprop."""

    def output(self, shape: Shape) -> Shape:
        return (self.grid(shape).columns.count, shape[-1])

    def grid(self, shape: Shape) -> Grid:
        """Return the windows over features of `shape`. Raises ShapeError."""
        stride = self.size if self.stride is None else self.stride
        return _checked(series_grid(shape, self.size, stride, self.padding))

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        grid = self.grid(scope.shape)
        return over_series(lambda images: self.pool(images, grid, scope), x)


def _checked(windows: Grid) -> Grid:
    for span in (windows.rows, windows.columns):
        if max(span.before, span.after) >= span.size:
            raise ShapeError(f"padding {span.before} must be less than the window size {span.size}")
    return windows


def largest(x: Array, grid: Grid, scope: Scope) -> tuple[Array, Backprop]:
    """Return the maximum of each window, and backprop to the first position that holds it.

    `x` is `(..., height, width, channels)`. Padding is never the maximum.
    """
    xp = scope.xp
    padded = grid.pad(x, scope, -xp.inf)
    shape = (*x.shape[:-3], grid.rows.count, grid.columns.count, x.shape[-1])
    y = scope.buffer("y", shape)
    # The number of the maximum's cell: of equal cells, the first.
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
    """Return the mean of each window, without its padding, and backprop.

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
    """Return the input gradient: for each position the sum over all windows that cover it.

    `share(cell, out)` writes the gradient that each window passes to its cell number `cell`.
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
