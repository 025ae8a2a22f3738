"""A column for each category."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from core.data.prepare import categories
from core.data.prepare.preparation import Cells, Columns, Encoder, Feature, Learned, Preparation
from core.data.table.schema import MAX_CLASSES
from core.family import member


@member
class OneHot(Encoder):
    """1 in the place of the cell's value among the values of the training rows, 0 elsewhere.

    A value that no training row has is all zeros, or an error. By default the columns of text.
    """

    kind: Literal["one_hot"] = "one_hot"
    columns: Columns = ()
    unknown: Literal["zeros", "error"] = "zeros"

    def objection(self, feature: Feature) -> str | None:
        if feature.classes is None:
            return f"has over {MAX_CLASSES} distinct values, or fractions: use hashing"
        return None

    def after(self, feature: Feature) -> Feature:
        return replace(feature, shape=(feature.classes or 1,), text=False, done=True)

    def learn(self, cells: Cells) -> Learned:
        return categories.learn(cells, MAX_CLASSES)

    def learn_blocks(self, blocks: Iterable[Cells]) -> Learned:
        return categories.learn_blocks(blocks, MAX_CLASSES)

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        codes = categories.codes(cells, learned, strict=self.unknown == "error")
        count = categories.size(learned)
        return np.equal(codes[:, None], np.arange(count)).astype(np.float32)

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        yield cls(), np.array(["b", "c", "a", "b"], object)
        yield cls(unknown="error", columns=("x",)), np.array([3.0, -1.0, 3.0])
