"""Convolution of images."""

from typing import ClassVar, Literal

from core.family import Examples, member
from core.nn.array import Array, Shape
from core.nn.layer import Backprop, Scope
from core.nn.ops.convolution import ConvolutionLayer
from core.nn.ops.windows import Grid, PaddingPair, Pair, grid, pair


@member
class Conv2d(ConvolutionLayer):
    """`y = sum over the window of x W + b`, at each position of images `(height, width, channels)`.

    `kernel`, `stride` and `dilation` are one number or (height, width). `padding` is `valid`
    (none), `same` (`ceil(size / stride)` outputs), a number or (height, width). With `groups`, each
    group of filters sees one group of channels. LeCun et al., "Gradient-Based Learning
    Applied to Document Recognition" (1998).
    """

    kind: Literal["conv2d"] = "conv2d"
    kernel: Pair
    stride: Pair = 1
    padding: PaddingPair = "valid"
    dilation: Pair = 1
    EXAMPLES: ClassVar[Examples] = (
        ({"filters": 3, "kernel": 3}, (5, 4, 2)),
        (
            {"filters": 2, "kernel": (2, 3), "stride": (2, 1), "padding": "same", "bias": False},
            (5, 4, 1),
        ),
        ({"filters": 4, "kernel": 2, "padding": 1, "dilation": 2, "groups": 2}, (4, 4, 4)),
        ({"filters": 2, "kernel": 1, "stride": 2}, (3, 3, 20)),
    )

    def output(self, shape: Shape) -> Shape:
        windows = self.grid(shape)
        self.check_groups(shape[-1])
        return (windows.rows.count, windows.columns.count, self.filters)

    def window(self) -> Shape:
        return pair(self.kernel)

    def grid(self, shape: Shape) -> Grid:
        return grid(shape, pair(self.kernel), self.stride, self.padding, self.dilation)

    def forward(self, x: Array, scope: Scope) -> tuple[Array, Backprop]:
        return self.convolve(x, scope)
