"""Values for empty cells."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from core.data.prepare.preparation import Cells, Columns, Feature, Learned, Preparation, present
from core.errors import InvalidError
from core.family import Since, member


@member
class Impute(Preparation):
    """An empty cell becomes the training rows' mean, median or most frequent value, or a constant.

    NaN counts as empty. Text knows `most_frequent` and `constant`; of equally frequent values the
    first in order is taken. With `indicator` a number becomes two: the number, and 1 if the cell
    was empty, else 0. A network can then learn from the fact that a cell is empty.
    """

    kind: Literal["impute"] = "impute"
    columns: Columns = ()
    strategy: Literal["mean", "median", "most_frequent", "constant"] = "mean"
    value: float | str | None = None
    indicator: Annotated[
        bool,
        Since(2),
        Field(description="add a number that is 1 for empty cells; only with `columns` of numbers"),
    ] = False

    def __post_init__(self) -> None:
        if self.indicator and not self.columns:
            raise ValueError("an indicator needs columns: name those with empty cells")
        if (self.strategy == "constant") != (self.value is not None):
            raise ValueError("value goes with the strategy constant, and only with it")

    def fits(self, feature: Feature) -> bool:
        if feature.shape or (self.indicator and feature.text):
            return False
        if self.strategy == "constant":
            return feature.text == isinstance(self.value, str)
        return self.strategy == "most_frequent" or not feature.text

    def remedy(self, feature: Feature) -> str:
        if feature.text and not feature.shape:
            return 'text takes strategy "most_frequent", or "constant" with a text as value'
        if not feature.shape and self.strategy == "constant":
            return "numbers take a number as value"
        return ""

    def after(self, feature: Feature) -> Feature:
        classes = feature.classes
        if classes is not None and feature.gaps and self.strategy != "most_frequent":
            classes += 1
        if self.indicator:
            return replace(feature, gaps=False, classes=None, shape=(2,))
        return replace(feature, gaps=False, classes=classes)

    def learn(self, cells: Cells) -> Learned:
        if cells.dtype == object:
            return Learned({}, (str(self.value) if self.value is not None else _common(cells),))
        if self.value is not None:
            return Learned({"value": np.array(float(self.value))})
        values = present(cells)
        if self.strategy == "most_frequent":
            distinct, counts = np.unique(values, return_counts=True)
            value = distinct[np.argmax(counts)]
        else:
            value = values.mean() if self.strategy == "mean" else np.median(values)
        return Learned({"value": np.array(float(value))})

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        filled = cells.copy()
        if cells.dtype == object:
            filled[[cell is None for cell in cells.tolist()]] = learned.words[0]
        else:
            empty = np.isnan(cells)
            filled[empty] = learned.arrays["value"]
            if self.indicator:
                filled = np.stack([filled, empty.astype(cells.dtype)], axis=-1)
        return filled

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        numbers = np.array([1.0, np.nan, 4.0, 4.0])
        yield cls(), numbers
        yield cls(strategy="median"), numbers[::-1]
        yield cls(columns=("x",), indicator=True), numbers
        yield cls(strategy="most_frequent"), np.array(["b", None, "a", "b"], object)
        yield cls(strategy="constant", value="none"), np.array(["b", None], object)


def _common(cells: Cells) -> str:
    counts = Counter(cell for cell in cells.tolist() if cell is not None)
    if not counts:
        raise InvalidError("all training rows are empty")
    return str(min(counts, key=lambda word: (-counts[word], word)))
