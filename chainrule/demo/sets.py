"""Small example datasets: handwritten digits, irises and spirals."""

import csv
import importlib.util
import math
import random
from collections.abc import Iterable
from pathlib import Path

from chainrule.demo import digits
from chainrule.stack import StackError

SETS = ("digits", "iris", "spirals")

_MEASURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def write(name: str, folder: Path) -> Path:
    """Write the dataset `name` as a CSV file in `folder`, with the same bytes every time.

    Raises StackError if its source is not installed.
    """
    if name == "digits":
        return digits.path()
    rows = {"iris": iris, "spirals": spirals}[name]()
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path


def iris() -> Iterable[tuple[object, ...]]:
    """Return Fisher's irises (1936) from scikit-learn: four measures in cm, and the species."""
    # Importing scikit-learn would take a second.
    package = importlib.util.find_spec("sklearn")
    folders = (package.submodule_search_locations if package else None) or ()
    for folder in folders:
        path = Path(folder) / "datasets" / "data" / "iris.csv"
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as lines:
                (_, _, *species), *rows = csv.reader(lines)
            return [(*_MEASURES, "species"), *((*row[:4], species[int(row[4])]) for row in rows)]
    raise StackError("the irises come with scikit-learn: install it, or use --demo digits")


def spirals(arms: int = 3, points: int = 200) -> Iterable[tuple[object, ...]]:
    """Return points on interleaved spiral arms, which no straight line separates."""
    generator = random.Random(0)
    rows: list[tuple[object, ...]] = [("x", "y", "arm")]
    for arm in range(arms):
        for point in range(points):
            radius = (point + 1) / points
            angle = 2 * math.pi * (arm / arms + radius) + generator.gauss(0, 0.12)
            x, y = radius * math.cos(angle), radius * math.sin(angle)
            rows.append((round(x, 6), round(y, 6), f"arm{arm}"))
    return rows
