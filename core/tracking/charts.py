"""Charts of a run as SVG, which MLflow shows inline: curves, confusion matrix, histograms."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TypeAlias

WIDTH, HEIGHT = 460, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 30, 34
_COLOURS = ("#2272b4", "#e65b77", "#00a972", "#8a63d2", "#c9810a", "#5f7281")
MAX_CLASSES = 50
"""A confusion matrix of more classes is not drawn."""

Points: TypeAlias = Sequence[tuple[float, float]]
Scatter: TypeAlias = tuple[Points, Points]
"""Points, and the points of a line over them; either may be empty."""


def curves(panels: Mapping[str, Mapping[str, Points]]) -> str:
    """A panel for each title with its curves `name -> points (x, y)`; NaN and inf are gaps."""
    drawn = [_panel(title, series) for title, series in panels.items()]
    return _page(drawn, columns=2, width=WIDTH, height=HEIGHT)


def scatters(panels: Mapping[str, Scatter]) -> str:
    """A panel for each title with its points and its line; NaN and inf are left out."""
    drawn = [_scatter(title, *scatter) for title, scatter in panels.items()]
    return _page(drawn, columns=2, width=WIDTH, height=HEIGHT)


def histograms(panels: Mapping[str, tuple[Sequence[int], float, float]]) -> str:
    """A panel for each title: counts in equal bins between a lowest and a highest value."""
    drawn = [_bars(title, *histogram) for title, histogram in panels.items()]
    return _page(drawn, columns=2, width=WIDTH, height=HEIGHT)


def confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """How often rows of each label were predicted as which label, darker for larger shares."""
    size = max(18, min(46, 640 // max(1, len(labels))))
    margin = 90
    parts = [_text(margin, 18, "rows: truth, columns: answer", size=13, bold=True)]
    for row, (label, line) in enumerate(zip(labels, counts, strict=True)):
        y, total = margin + row * size, sum(line)
        parts.append(_text(margin - 6, y + size * 0.62, label[:12], anchor="end"))
        x = margin + row * size + size * 0.6
        rotation = f' transform="rotate(-60 {x:.1f} {margin - 6})"'
        parts.append(_text(x, margin - 6, label[:12], more=rotation))
        for column, count in enumerate(line):
            share = count / total if total else 0.0
            left = margin + column * size
            parts.append(
                f'<rect x="{left}" y="{y}" width="{size}" height="{size}" fill="#2272b4"'
                f' fill-opacity="{share:.3f}" stroke="#d1d9e1"/>'
            )
            if count:
                colour = "#fff" if share > 0.5 else "#11171c"
                parts.append(
                    _text(
                        left + size / 2, y + size * 0.62, str(count), anchor="middle", fill=colour
                    )
                )
    edge = margin + size * len(labels) + 20
    return _svg(edge, edge, "".join(parts))


def _panel(title: str, series: Mapping[str, Points]) -> str:
    finite = [(x, y) for points in series.values() for x, y in points if math.isfinite(y)]
    if not finite:
        return _text(_LEFT, 18, f"{title}: no numbers", size=13, bold=True)
    box = _Box([x for x, _ in finite], [y for _, y in finite])
    parts = [_text(_LEFT, 18, title, size=13, bold=True), box.frame()]
    for index, (name, points) in enumerate(series.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        for piece in _unbroken(points):
            parts.append(box.line(piece, colour))
            if len(piece) == 1:
                parts.append(box.dot(*piece[0], colour))
        parts.append(
            _text(WIDTH - _RIGHT, _TOP + 14 * (index + 1), name, anchor="end", fill=colour)
        )
    return "".join(parts)


def _scatter(title: str, points: Points, line: Points) -> str:
    pieces, lines = _unbroken(points), _unbroken(line)
    finite = [place for piece in (*pieces, *lines) for place in piece]
    if not finite:
        return _text(_LEFT, 18, f"{title}: no numbers", size=13, bold=True)
    box = _Box([x for x, _ in finite], [y for _, y in finite])
    return "".join(
        [
            _text(_LEFT, 18, title, size=13, bold=True),
            box.frame(),
            *(box.dot(x, y, _COLOURS[0]) for piece in pieces for x, y in piece),
            *(box.line(piece, _COLOURS[1]) for piece in lines),
        ]
    )


def _bars(title: str, counts: Sequence[int], low: float, high: float) -> str:
    box = _Box([low, high], [0.0, float(max(counts, default=1) or 1)])
    wide = (WIDTH - _LEFT - _RIGHT) / max(1, len(counts))
    parts = [_text(_LEFT, 18, title, size=13, bold=True), box.frame()]
    for index, count in enumerate(counts):
        top = box.y(count)
        parts.append(
            f'<rect x="{_LEFT + index * wide:.1f}" y="{top:.1f}" width="{max(0.5, wide - 1):.1f}"'
            f' height="{HEIGHT - _BOTTOM - top:.1f}" fill="{_COLOURS[0]}"/>'
        )
    return "".join(parts)


class _Box:
    """The coordinates of values in a panel."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self._x0, self._x1 = _spread(min(xs), max(xs))
        self._y0, self._y1 = _spread(min(ys), max(ys))

    def x(self, value: float) -> float:
        share = (value - self._x0) / (self._x1 - self._x0)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self._y0) / (self._y1 - self._y0)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    def dot(self, x: float, y: float, colour: str) -> str:
        """A point."""
        return f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="2.5" fill="{colour}"/>'

    def line(self, points: Points, colour: str) -> str:
        """A line through points."""
        places = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.6"/>'

    def frame(self) -> str:
        """The axes, labelled with their lowest and highest values."""
        base = HEIGHT - _BOTTOM
        return (
            f'<path d="M{_LEFT} {_TOP}V{base}H{WIDTH - _RIGHT}" fill="none" stroke="#8c9baa"/>'
            + _text(_LEFT - 5, base, _number(self._y0), anchor="end")
            + _text(_LEFT - 5, _TOP + 9, _number(self._y1), anchor="end")
            + _text(_LEFT, base + 16, _number(self._x0))
            + _text(WIDTH - _RIGHT, base + 16, _number(self._x1), anchor="end")
        )


def _spread(low: float, high: float) -> tuple[float, float]:
    """The ends of an axis, apart from each other and at a finite distance."""
    low, high = max(low, -1e300) / 1.0, min(high, 1e300) / 1.0
    return (low, high) if high > low else (low - (abs(low) or 1.0) / 2, low + (abs(low) or 1.0) / 2)


def _unbroken(points: Points) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if math.isfinite(y):
            pieces[-1].append((x, max(-1e300, min(1e300, y))))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _number(value: float) -> str:
    return f"{value:.4g}"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 11,
    anchor: str = "start",
    fill: str = "#11171c",
    bold: bool = False,
    more: str = "",
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
        f' fill="{fill}"{weight}{more}>{escape(text)}</text>'
    )


def _page(panels: Sequence[str], *, columns: int, width: int, height: int) -> str:
    placed = [
        f'<g transform="translate({index % columns * width} {index // columns * height})">'
        f"{panel}</g>"
        for index, panel in enumerate(panels)
    ]
    rows = math.ceil(len(panels) / columns) or 1
    return _svg(width * min(columns, max(1, len(panels))), height * rows, "".join(placed))


def _svg(width: float, height: float, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" font-family="sans-serif"><rect width="100%" height="100%"'
        f' fill="#fff"/>{body}</svg>'
    )
