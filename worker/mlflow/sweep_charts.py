"""The trials of a sweep as one SVG picture: best so far, each searched field, learning curves."""

import json
import math
from collections.abc import Callable, Sequence

import numpy as np

from core.sweeps import SweepResults
from core.tracking import charts

MAX_POINTS = 400
"""Trials in a panel, evenly spread over all of them."""
MAX_FIELDS = 12
"""Panels of searched fields, for each objective."""
MAX_CURVES = 20
"""Learning curves, of the newest trials that reported any."""

_Points = list[tuple[float, float]]


def sweep_charts(results: SweepResults) -> str:
    """Return the picture; empty while no trial has finished."""
    panels: dict[str, charts.Scatter] = {}
    for index, metric in enumerate(results.metrics):
        ended = [
            (trial.number, trial.objectives[index], trial.values)
            for trial in results.trials
            if trial.outcome == "finished"
        ]
        if not ended:
            return ""
        history: _Points = [(float(number), value) for number, value, _ in ended]
        better = min if results.search.directions[index] == "minimize" else max
        panels[f"{metric} by trial"] = _spaced(history), _spaced(_best_so_far(history, better))
        for path in list(results.search.space)[:MAX_FIELDS]:
            axis, places = _axis([values.get(path) for *_, values in ended])
            points = [
                (place, value)
                for place, (_, value, _) in zip(places, ended, strict=True)
                if place is not None
            ]
            panels[f"{metric} by {path}{axis}"] = _spaced(points), ()
    panels |= _learning_curves(results)
    return charts.scatters(panels)


def _best_so_far(history: _Points, better: Callable[[float, float], float]) -> _Points:
    """Return, for each trial, the best value up to it."""
    line: _Points = []
    for number, value in history:
        line.append((number, better(line[-1][1], value) if line else value))
    return line


def _axis(values: Sequence[object]) -> tuple[str, list[float | None]]:
    """Return what the axis shows, and the place of each value on it; None for a missing value.

    Numbers above 0 that span a factor of more than 100 have a logarithmic axis. Other values than
    numbers have one place each, in the order of their names.
    """
    known = [value for value in values if value is not None]
    numbers = [v for v in known if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(known):
        names = sorted({json.dumps(value) for value in known})
        shown = ", ".join(name[:12] for name in names[:4]) + (", ..." if names[4:] else "")
        places = {name: float(place) for place, name in enumerate(names)}
        return f": {shown}", [None if v is None else places[json.dumps(v)] for v in values]
    logarithmic = bool(numbers) and min(numbers) > 0 and max(numbers) > 100 * min(numbers)
    convert: Callable[[float], float] = math.log10 if logarithmic else float
    return (
        " (log10)" if logarithmic else "",
        [convert(v) if isinstance(v, int | float) else None for v in values],
    )


def _learning_curves(results: SweepResults) -> dict[str, charts.Scatter]:
    """Return one panel with the first objective by epoch, if trials reported it."""
    curves = [trial.reports for trial in results.trials if trial.reports][-MAX_CURVES:]
    points: _Points = [
        (float(epoch), value) for reports in curves for epoch, value in reports.items()
    ]
    if not points:
        return {}
    return {f"{results.metrics[0]} by epoch, newest trials": (_spaced(points), ())}


def _spaced(points: _Points) -> _Points:
    """Return at most MAX_POINTS of the points, evenly spread."""
    if len(points) <= MAX_POINTS:
        return points
    return [points[i] for i in np.linspace(0, len(points) - 1, MAX_POINTS).astype(int)]
