"""Exporters of convolutions and poolings. ONNX has channels before positions: transposed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.export.graph import Graph
from core.export.member import Place, exports
from core.nn.ops.convolution import ConvolutionLayer
from core.nn.ops.pooling import Pool1d, Pool2d
from core.nn.ops.windows import Grid, Span


def _spans(grid: Grid, places: int) -> Sequence[Span]:
    """Return the spans of a grid; a series has columns only."""
    return (grid.rows, grid.columns)[2 - places :]


def _pads(spans: Sequence[Span]) -> list[int]:
    return [span.before for span in spans] + [span.after for span in spans]


def _channels_first(graph: Graph, x: str, places: int) -> str:
    return graph.add("Transpose", x, perm=[0, places + 1, *range(1, places + 1)])


def _channels_last(graph: Graph, y: str, places: int) -> str:
    return graph.add("Transpose", y, perm=[0, *range(2, places + 2), 1])


@exports("conv1d", "conv2d")
def convolution(graph: Graph, x: str, layer: ConvolutionLayer, place: Place) -> str:
    """Transpose weights `(*window, channels, filters)` to `(filters, channels, *window)`."""
    places = len(place.shape) - 1
    spans = _spans(layer.grid(place.shape), places)
    weight = np.moveaxis(np.asarray(place.arrays["weight"]), (-1, -2), (0, 1))
    inputs = [_channels_first(graph, x, places), graph.weight(weight)]
    if layer.bias:
        inputs.append(graph.weight(place.arrays["bias"]))
    y = graph.add(
        "Conv",
        *inputs,
        group=layer.groups,
        kernel_shape=[span.size for span in spans],
        strides=[span.stride for span in spans],
        dilations=[span.dilation for span in spans],
        pads=_pads(spans),
    )
    return _channels_last(graph, y, places)


def _pool(graph: Graph, op: str, x: str, layer: Pool1d | Pool2d, place: Place, **more: Any) -> str:
    places = len(place.shape) - 1
    spans = _spans(layer.grid(place.shape), places)
    y = graph.add(
        op,
        _channels_first(graph, x, places),
        kernel_shape=[span.size for span in spans],
        strides=[span.stride for span in spans],
        pads=_pads(spans),
        **more,
    )
    return _channels_last(graph, y, places)


@exports("max_pool1d", "max_pool2d")
def max_pool(graph: Graph, x: str, layer: Pool1d | Pool2d, place: Place) -> str:
    """Ignore padding in the maximum."""
    return _pool(graph, "MaxPool", x, layer, place)


@exports("average_pool1d", "average_pool2d")
def average_pool(graph: Graph, x: str, layer: Pool1d | Pool2d, place: Place) -> str:
    """Ignore padding in the mean."""
    return _pool(graph, "AveragePool", x, layer, place, count_include_pad=0)


def _over_positions(graph: Graph, op: str, x: str, place: Place) -> str:
    return graph.add(op, x, graph.sizes(*range(1, len(place.shape))), keepdims=0)


@exports("global_average_pool")
def global_average_pool(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Average over all positions."""
    return _over_positions(graph, "ReduceMean", x, place)


@exports("global_max_pool")
def global_max_pool(graph: Graph, x: str, layer: object, place: Place) -> str:
    """Maximum over all positions."""
    return _over_positions(graph, "ReduceMax", x, place)
