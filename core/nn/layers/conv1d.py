"""Convolution of series."""

from typing import ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.layer import Backprop, Scope
from core.nn.ops.convolution import ConvolutionLayer
from core.nn.ops.windows import Extent, Grid, Padding, over_series, series_grid


@member
class Conv1d(ConvolutionLayer):
    """`y = sum over the window of x W + b`, at each step of a series `(time, channels)`.

    `padding` is `valid` (none), `same` (`ceil(time / stride)` outputs) or the number of steps on
    both sides. With `groups`, each group of filters sees one group of channels. Waibel et al.,
    "Phoneme Recognition Using Time-Delay Neural Networks" (1989).
    """

    kind: Literal["conv1d"] = "conv1d"
    kernel: Extent
    stride: Extent = 1
    padding: Padding = "valid"
    dilation: Extent = 1
    EXAMPLES: ClassVar[Examples] = (
        ({"filters": 3, "kernel": 3}, (6, 2)),
        ({"filters": 4, "kernel": 2, "stride": 2, "padding": "same", "groups": 2}, (5, 4)),
        ({"filters": 2, "kernel": 3, "padding": 2, "dilation": 2, "bias": False}, (5, 1)),
    )

    def output(self, shape: Shape) -> Shape:
        count = self.grid(shape).columns.count
        self.check_groups(shape[-1])
        return (count, self.filters)

    def window(self) -> Shape:
        return (self.kernel,)

    def grid(self, shape: Shape) -> Grid:
        return series_grid(shape, self.kernel, self.stride, self.padding, self.dilation)

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        return over_series(lambda images: self.convolve(images, scope), x)
