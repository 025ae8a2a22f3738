"""Draw metrics as curves in the terminal."""

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from chainrule.contract.metric_names import GAUGES, MACHINE

_COLOURS = ("cyan", "orange", "magenta", "green")
_MOST_POINTS = 400
_HEIGHT = 11


class Curves:
    """One plot of the losses, and below it one of the first other metric."""

    def __init__(self) -> None:
        self._curves: dict[str, list[tuple[float, float]]] = {}

    def add(self, points: Sequence[Mapping[str, Any]]) -> None:
        """Add points from the api. Points without a finite number are ignored."""
        for point in points:
            value = point["value"]
            if point["key"].startswith(MACHINE):
                continue
            if not isinstance(value, int | float) or not math.isfinite(value):
                continue
            curve = self._curves.setdefault(point["key"], [])
            while curve and curve[-1][0] >= point["step"]:
                curve.pop()  # a later attempt resumed from a checkpoint and repeats it
            curve.append((point["step"], value))
            if len(curve) > 2 * _MOST_POINTS:
                del curve[1:-1:2]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        losses = [key for key in self._curves if key.endswith("loss")]
        others = [key for key in self._curves if key not in (*losses, *GAUGES)]
        metric = others[0].rpartition("/")[2] if others else ""
        plots = [losses, [key for key in others if key.rpartition("/")[2] == metric]]
        for keys in plots:
            drawn = {k: self._curves[k] for k in keys if len(self._curves[k]) > 1}
            if drawn:
                yield Text.from_ansi(_plot(drawn, options.max_width))


def _decades(lowest: float, highest: float) -> tuple[list[float], list[str]]:
    """Return at most about five ticks of a logarithmic axis, at powers of ten, and their labels."""
    first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
    every = max(1, math.ceil((last - first) / 5))
    ticks = [10.0**power for power in range(first, last + 1, every)]
    return ticks, [f"{tick:g}" for tick in ticks]


def _plot(curves: Mapping[str, Sequence[tuple[float, float]]], width: int) -> str:
    plotext: Any = import_module("plotext")
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(width, _HEIGHT)
    values = [value for curve in curves.values() for _, value in curve]
    if 0 < 100 * min(values) < max(values):
        plotext.yscale("log")
        plotext.yticks(*_decades(min(values), max(values)))
    ends = [step for curve in curves.values() for step, _ in (curve[0], curve[-1])]
    plotext.xticks([round(min(ends) + part * (max(ends) - min(ends)) / 4) for part in range(5)])
    for (key, curve), colour in zip(sorted(curves.items()), _COLOURS, strict=False):
        plotext.plot(
            *map(list, zip(*curve, strict=True)), label=key, color=colour, marker="braille"
        )
    return str(plotext.build())
