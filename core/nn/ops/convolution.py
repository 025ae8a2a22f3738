"""Convolution as matrix products: windows become rows, as many at a time as fit a CPU cache.

`y = windows W`, `dW = windows^T dy`, and `dx` adds `dy W^T` to the places of the windows.
Chellapilla, Puri and Simard, "High Performance Convolutional Neural Networks for Document
Processing" (2006).
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from core.family import member
from core.nn.array import Array, Shape
from core.nn.initializers import He, Initializer, Zeros
from core.nn.layer import Backprop, Layer, Reach, Scope, ShapeError, Weight
from core.nn.ops.windows import Grid

PART = 131_072
"""Numbers in the windows copied at a time, so that they fit the cache of a CPU core."""


@member
class ConvolutionLayer(Layer):
    """Base of convolutions of images and series."""

    reach: ClassVar[Reach] = "any"
    filters: Annotated[int, Ge(1), Le(1_000_000)]
    groups: Annotated[int, Ge(1), Le(1_000_000)] = 1
    bias: bool = True
    weight_initializer: Initializer = He()
    bias_initializer: Initializer = Zeros()

    @abstractmethod
    def grid(self, shape: Shape) -> Grid:
        """Return the windows over features of `shape`. Raises ShapeError."""

    @abstractmethod
    def window(self) -> Shape:
        """Return the shape of a window."""

    def weights(self, shape: Shape) -> dict[str, Weight]:
        each, cells = shape[-1] // self.groups, math.prod(self.window())
        fans = (cells * each, cells * self.filters // self.groups)
        size = (*self.window(), each, self.filters)
        weights = {"weight": Weight(size, self.weight_initializer, *fans)}
        if self.bias:
            bias = Weight((self.filters,), self.bias_initializer, *fans, decays=False)
            weights["bias"] = bias
        return weights

    def check_groups(self, channels: int) -> None:
        """Raise ShapeError when the groups do not divide the channels or the filters."""
        for name, size in (("channels", channels), ("filters", self.filters)):
            if size % self.groups:
                raise ShapeError(f"{size} {name} cannot be split into {self.groups} groups")

    def convolve(self, images: Array, scope: Scope) -> tuple[Array, Backprop]:
        """Return outputs and backprop for `images (*stack, batch, height, width, channels)`."""
        grid, channels = self.grid(scope.shape), scope.shape[-1]
        engine = Convolution(grid, channels, self.filters, self.groups, self.bias)
        return engine.forward(images, scope)


@dataclass(frozen=True)
class Convolution:
    """The computation for images `(*stack, batch, height, width, channels)`.

    Weights are `(cells, channels / groups, filters)`, with the cells on one or more axes.
    """

    grid: Grid
    channels: int
    filters: int
    groups: int
    bias: bool

    @property
    def depth(self) -> int:
        """The numbers in one window of one group."""
        return self.grid.cells * self.channels // self.groups

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        """Return `y (*stack, batch, rows, columns, filters)` and backprop."""
        xp, grid = scope.xp, self.grid
        networks, batch = math.prod(scope.stack), x.shape[len(scope.stack)]
        x = x.reshape(networks, batch, *x.shape[-3:])
        padded = grid.pad(x, scope, 0.0)
        windows = grid.view(xp, padded, self.groups)
        weight = self._matrix(scope.weights["weight"], networks)
        place = (grid.rows.count, grid.columns.count, self.filters)
        y = scope.buffer("y", (networks, batch, *place))
        bias = scope.weights["bias"].reshape(networks, 1, -1) if self.bias else None
        for part in self._parts(networks, batch):
            out = self._by_group(y[part])
            xp.matmul(self._rows(windows[part], scope), weight[part[0]], out=out)
            if bias is not None:
                flat = y[part].reshape(out.shape[0], -1, self.filters)
                flat += bias[part[0]]

        def backprop(dy: Array) -> Array | None:
            dy = dy.reshape(y.shape)
            self._weight_gradient(windows, dy, scope)
            if self.bias:
                self._bias_gradient(dy.reshape(networks, -1, self.filters), scope)
            if not scope.input_gradient:
                return None
            dx = self._input_gradient(dy, weight, scope, padded.shape)
            return dx.reshape(*scope.stack, batch, *scope_shape)

        scope_shape = x.shape[-3:]
        return y.reshape(*scope.stack, batch, *place), backprop

    def _bias_gradient(self, dy: Array, scope: Scope) -> None:
        """Write the gradient of the bias: a product with ones, which is faster than a sum."""
        ones = scope.buffer("ones", (1, dy.shape[1]))
        ones[...] = 1
        total = scope.gradients["bias"]
        total[...] = scope.xp.matmul(ones, dy).reshape(total.shape)

    def _matrix(self, weight: Array, networks: int) -> Array:
        """A view of weights as `(networks, groups, depth, filters / groups)`."""
        each = self.filters // self.groups
        return weight.reshape(networks, self.depth, self.groups, each).swapaxes(1, 2)

    def _by_group(self, y: Array) -> Array:
        """A view of outputs as `(networks, groups, windows, filters / groups)`."""
        split = y.reshape(y.shape[0], -1, self.groups, self.filters // self.groups)
        return split.swapaxes(1, 2)

    def _parts(self, networks: int, batch: int) -> Iterator[tuple[slice, slice]]:
        """Yield slices of networks and of images to compute together.

        The number of images does not depend on the number of networks, so sums have
        the same order in a stack as alone.
        """
        numbers = self.depth * self.groups * self.grid.count
        images = max(1, min(batch, PART // numbers))
        together = max(1, PART // (numbers * images))
        for first in range(0, networks, together):
            for start in range(0, batch, images):
                yield (
                    slice(first, min(first + together, networks)),
                    slice(start, min(start + images, batch)),
                )

    def _rows(self, windows: Array, scope: Scope) -> Array:
        """Copy windows `(networks, batch, ...)` to `(networks, groups, windows, depth)`."""
        networks, batch, rows, columns, groups, high, wide, deep = windows.shape
        if deep * wide >= 16:
            shape = (networks, groups, batch, rows, columns, high, wide, deep)
            out = scope.buffer("rows", shape)
            out[...] = windows.transpose(0, 4, 1, 2, 3, 5, 6, 7)
            return out.reshape(networks, groups, batch * rows * columns, self.depth)
        # Few contiguous numbers: copy along the rows of the image instead.
        shape = (networks, groups, high, wide, deep, batch, rows, columns)
        out = scope.buffer("rows", shape)
        out[...] = windows.transpose(0, 4, 5, 6, 7, 1, 2, 3)
        return out.reshape(networks, groups, self.depth, batch * rows * columns).swapaxes(-1, -2)

    def _weight_gradient(self, windows: Array, dy: Array, scope: Scope) -> None:
        """Write the gradient of the weights."""
        xp = scope.xp
        networks, batch = dy.shape[:2]
        shape = (networks, self.groups, self.depth, self.filters // self.groups)
        total = scope.buffer("total", shape)
        for part in self._parts(networks, batch):
            rows = self._rows(windows[part], scope).swapaxes(-1, -2)
            gradient = self._by_group(dy[part])
            if part[1].start == 0:
                xp.matmul(rows, gradient, out=total[part[0]])
            else:
                more = scope.buffer("more", (rows.shape[0], *shape[1:]))
                total[part[0]] += xp.matmul(rows, gradient, out=more)
        out = scope.gradients["weight"]
        out[...] = total.swapaxes(1, 2).reshape(out.shape)

    def _input_gradient(self, dy: Array, weight: Array, scope: Scope, shape: Shape) -> Array:
        """Return the gradient of the images: the sum of the gradients of all windows over a pixel.

        Sums along the height with one product per row of the window, then along the width.
        """
        xp, rows, columns = scope.xp, self.grid.rows, self.grid.columns
        each = self.channels // self.groups
        dx = scope.buffer("dx", shape)
        by_row = weight.reshape(*weight.shape[:2], rows.size, columns.size * each, -1)
        for part in self._parts(*dy.shape[:2]):
            gradient, own, target = self._by_group(dy[part]), by_row[part[0]], dx[part]
            lead = (target.shape[0], self.groups, target.shape[1])
            tall = scope.buffer("tall", (*lead, rows.padded, columns.count, columns.size * each))
            back = scope.buffer("back", (*lead, rows.count, columns.count, columns.size * each))
            flat = back.reshape(*lead[:2], -1, columns.size * each)
            tall[...] = 0
            for i in range(rows.size):
                xp.matmul(gradient, own[:, :, i].swapaxes(-1, -2), out=flat)
                tall[:, :, :, rows.places(i)] += back
            target[...] = 0
            for group in range(self.groups):
                channels = target[..., group * each : (group + 1) * each]
                for j in range(columns.size):
                    cell = tall[:, group, ..., j * each : (j + 1) * each]
                    channels[..., columns.places(j), :] += cell
        return dx[self.grid.inside] if self.grid.is_padded else dx
