"""Sliding windows over images: their positions, and views of all windows."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from core.nn.array import Array, Shape
from core.nn.layer import Backprop, Scope, ShapeError

Extent: TypeAlias = Annotated[int, Ge(1), Le(10_000)]
Margin: TypeAlias = Annotated[int, Ge(0), Le(10_000)]
Padding: TypeAlias = Literal["valid", "same"] | Margin
PaddingPair: TypeAlias = Padding | tuple[Margin, Margin]
Pair: TypeAlias = Extent | tuple[Extent, Extent]


@dataclass(frozen=True)
class Span:
    """Windows along one axis: `before` and `after` are the padding, `count` the windows."""

    length: int
    size: int
    stride: int
    dilation: int
    before: int
    after: int
    count: int

    @property
    def padded(self) -> int:
        """The length of the axis with its padding."""
        return self.before + self.length + self.after

    def places(self, offset: int) -> slice:
        """The positions of the cell `offset` of all windows on the padded axis."""
        start = offset * self.dilation
        return slice(start, start + (self.count - 1) * self.stride + 1, self.stride)

    def covered(self) -> Array:
        """The number of cells of each window that are not padding, float64 `(count,)`."""
        starts = np.arange(self.count)[:, None] * self.stride
        cells = starts + np.arange(self.size) * self.dilation - self.before
        return ((cells >= 0) & (cells < self.length)).sum(axis=1).astype(np.float64)


def span(length: int, size: int, stride: int, padding: Padding, dilation: int = 1) -> Span:
    """Return windows of `size` cells, `dilation` apart, every `stride` along an axis of `length`.

    `same` padding gives `ceil(length / stride)` windows; an odd cell of padding comes last. Raises
    ShapeError when no window fits.
    """
    reach = (size - 1) * dilation + 1
    if padding == "same":
        total = max((math.ceil(length / stride) - 1) * stride + reach - length, 0)
        before, after = total // 2, total - total // 2
    else:
        before = after = 0 if padding == "valid" else padding
    count = (before + length + after - reach) // stride + 1
    if count < 1:
        raise ShapeError(
            f"a window that spans {reach} cells does not fit an axis of {length} with padding "
            f"{padding!r}: reduce the window or increase the padding"
        )
    return Span(length, size, stride, dilation, before, after, count)


def pair(value: Any) -> tuple[Any, Any]:
    """Return a pair: the same value for both axes, or the given pair."""
    return value if isinstance(value, tuple) else (value, value)


@dataclass(frozen=True)
class Grid:
    """Windows over the height and width of images `(..., height, width, channels)`."""

    rows: Span
    columns: Span

    @property
    def cells(self) -> int:
        """The cells of a window."""
        return self.rows.size * self.columns.size

    @property
    def count(self) -> int:
        """The windows of an image."""
        return self.rows.count * self.columns.count

    @property
    def is_padded(self) -> bool:
        """Whether the image has padding."""
        return bool(
            self.rows.before or self.rows.after or self.columns.before or self.columns.after
        )

    @property
    def is_tiling(self) -> bool:
        """Whether no two windows share a cell."""
        spans = (self.rows, self.columns)
        return all(span.dilation == 1 and span.stride >= span.size for span in spans)

    @property
    def inside(self) -> tuple[Any, ...]:
        """The index of the image in the padded image."""
        return (
            ...,
            slice(self.rows.before, self.rows.before + self.rows.length),
            slice(self.columns.before, self.columns.before + self.columns.length),
            slice(None),
        )

    def cell_places(self) -> Iterator[tuple[Any, ...]]:
        """Yield, for each cell of the window in row-major order, its index in padded images."""
        for i in range(self.rows.size):
            for j in range(self.columns.size):
                yield (..., self.rows.places(i), self.columns.places(j), slice(None))

    def covered(self) -> Array:
        """The number of cells of each window that are not padding, float64 `(rows, columns)`."""
        return np.outer(self.rows.covered(), self.columns.covered())

    def pad(self, x: Array, scope: Scope, fill: float) -> Array:
        """Return images padded with `fill`; `x` itself without padding."""
        if not self.is_padded:
            return x
        shape = (*x.shape[:-3], self.rows.padded, self.columns.padded, x.shape[-1])
        padded = scope.buffer("padded", shape)
        top, left = self.rows.before, self.columns.before
        bottom, right = top + self.rows.length, left + self.columns.length
        padded[..., :top, :, :] = fill
        padded[..., bottom:, :, :] = fill
        padded[..., top:bottom, :left, :] = fill
        padded[..., top:bottom, right:, :] = fill
        padded[self.inside] = x
        return padded

    def view(self, xp: Any, padded: Array, groups: int) -> Array:
        """Return a view of all windows of padded images, without copying.

        Its shape is `(..., rows, columns, groups, row cells, column cells, channels of a group)`.
        """
        *lead, _, _, channels = padded.shape
        *steps, down, across, deep = padded.strides
        each = channels // groups
        shape = (*lead, self.rows.count, self.columns.count, groups)
        strides = (*steps, down * self.rows.stride, across * self.columns.stride, deep * each)
        return xp.lib.stride_tricks.as_strided(
            padded,
            (*shape, self.rows.size, self.columns.size, each),
            (*strides, down * self.rows.dilation, across * self.columns.dilation, deep),
        )


def grid(shape: Shape, size: tuple[int, int], stride: Any, padding: Any, dilation: Any = 1) -> Grid:
    """Return windows over images of shape `(height, width, channels)`. Raises ShapeError."""
    if len(shape) != 3:
        raise ShapeError(f"expected images of shape (height, width, channels), got {shape}")
    strides, paddings, dilations = pair(stride), pair(padding), pair(dilation)
    spans = [
        span(shape[axis], size[axis], strides[axis], paddings[axis], dilations[axis])
        for axis in (0, 1)
    ]
    return Grid(*spans)


def series_grid(shape: Shape, size: int, stride: int, padding: Padding, dilation: int = 1) -> Grid:
    """Return windows over a series of shape `(time, channels)`, seen as an image of height 1.

    Raises ShapeError.
    """
    if len(shape) != 2:
        raise ShapeError(f"expected a series of shape (time, channels), got {shape}")
    pads = (0, padding) if isinstance(padding, int) else padding
    return grid((1, *shape), (1, size), (1, stride), pads, (1, dilation))


def over_series(
    compute: Callable[[Array], tuple[Array, Backprop]], x: Array
) -> tuple[Array, Backprop]:
    """Apply `compute`, which takes images, to series `x (..., time, channels)`."""
    y, image_backprop = compute(x.reshape(*x.shape[:-2], 1, *x.shape[-2:]))

    def backprop(dy: Array) -> Array | None:
        dx = image_backprop(dy.reshape(y.shape))
        return None if dx is None else dx.reshape(x.shape)

    return y.reshape(*x.shape[:-2], *y.shape[-2:]), backprop
