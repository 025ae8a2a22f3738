"""Small sets to try things on: digits that were written by hand, irises, spirals."""

import csv
import importlib.util
import math
import random
from collections.abc import Iterable
from pathlib import Path

from chainrule.demo import digits
from chainrule.stack.errors import StackError

SETS = ("digits", "iris", "spirals")

_MEASURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def write(name: str, folder: Path) -> Path:
    """The set `name` as a CSV file in `folder`, the same bytes every time. Raises StackError."""
    if name == "digits":
        return digits.path()
    made = {"iris": iris, "spirals": spirals}[name]()
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(made)
    return path


def iris() -> Iterable[tuple[object, ...]]:
    """Fisher's irises (1936), as scikit-learn keeps them: four measures in cm, and the species."""
    # Looked for, not imported: that would take a second.
    found = importlib.util.find_spec("sklearn")
    places = (found.submodule_search_locations if found else None) or ()
    for place in places:
        path = Path(place) / "datasets" / "data" / "iris.csv"
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as lines:
                (_, _, *species), *rows = csv.reader(lines)
            return [(*_MEASURES, "species"), *((*row[:4], species[int(row[4])]) for row in rows)]
    raise StackError("the irises come with scikit-learn, which is not installed")


def spirals(arms: int = 3, points: int = 200) -> Iterable[tuple[object, ...]]:
    """Points on arms that wind into each other: no straight line parts them."""
    chance = random.Random(0)
    rows: list[tuple[object, ...]] = [("x", "y", "arm")]
    for arm in range(arms):
        for point in range(points):
            radius = (point + 1) / points
            angle = 2 * math.pi * (arm / arms + radius) + chance.gauss(0, 0.12)
            x, y = radius * math.cos(angle), radius * math.sin(angle)
            rows.append((round(x, 6), round(y, 6), f"arm{arm}"))
    return rows
