"""Pictures are pictures whatever the numbers are, and show what they are given."""

import math
from xml.etree import ElementTree

import pytest

from core.tracking import charts

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str, kind: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(text).iter(SVG + kind))


def test_a_curve_breaks_where_there_is_no_number() -> None:
    points = [(0, 1.0), (1, 0.5), (2, math.nan), (3, math.inf), (4, 0.2), (5, 0.1)]
    found = drawn(charts.curves({"loss": {"train/<loss>": points}}), "polyline")
    assert [len(line.get("points", "").split()) for line in found] == [2, 2]
    heights = [float(place.split(",")[1]) for place in found[0].get("points", "").split()]
    assert heights[0] < heights[1]  # larger is higher, and higher is a smaller y


@pytest.mark.parametrize(
    "points", [[], [(0, math.nan)], [(3, 1e308), (4, -1e308)], [(0, 0.0)], [(1, 2.0), (1, 2.0)]]
)
def test_any_curve_is_a_picture(points: list[tuple[float, float]]) -> None:
    text = charts.curves({"one": {"a": points}, "two": {"b": [(0, 1), (1, 2)]}})
    places = " ".join(line.get("points", "") for line in drawn(text, "polyline"))
    assert "nan" not in places
    assert "inf" not in places
    assert len(drawn(text, "g")) == 2


def test_bars_are_as_high_as_their_counts() -> None:
    found = drawn(charts.histograms({"weights": ([1, 4, 2], -1.0, 1.0)}), "rect")[1:]
    heights = [float(bar.get("height", 0)) for bar in found]
    assert heights[1] == pytest.approx(4 * heights[0])
    assert heights[2] == pytest.approx(2 * heights[0])


def test_confusions_are_darker_the_more_there_are() -> None:
    found = drawn(charts.confusion(["a", "b"], [[3, 1], [0, 4]]), "rect")[1:]
    assert [float(cell.get("fill-opacity", 0)) for cell in found] == [0.75, 0.25, 0.0, 1.0]


def test_scatters_have_a_dot_for_each_number_and_a_line() -> None:
    points = [(0, 1.0), (1, math.nan), (2, 0.5), (3, math.inf)]
    text = charts.scatters({"a": (points, [(0, 1.0), (2, 0.5)]), "b": ([(0, math.nan)], [])})
    assert len(drawn(text, "circle")) == 2
    assert len(drawn(text, "polyline")) == 1
    assert "b: no numbers" in text
