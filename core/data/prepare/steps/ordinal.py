"""A number for each category."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from core.data.prepare import categories
from core.data.prepare.preparation import Cells, Columns, Encoder, Feature, Learned, Preparation
from core.family import member

MAX_CATEGORIES = 1_000_000


@member
class Ordinal(Encoder):
    """The place of the cell's value among the n values of the training rows, from 0.

    A value that no training row has is n, or an error; an embedding then needs n + 1 places. By
    default the columns of text.
    """

    kind: Literal["ordinal"] = "ordinal"
    columns: Columns = ()
    unknown: Literal["last", "error"] = "last"

    def after(self, feature: Feature) -> Feature:
        return replace(feature, text=False, done=True)

    def learn(self, cells: Cells) -> Learned:
        return categories.learn(cells, MAX_CATEGORIES)

    def learn_blocks(self, blocks: Iterable[Cells]) -> Learned:
        return categories.learn_blocks(blocks, MAX_CATEGORIES)

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        return categories.codes(cells, learned, strict=self.unknown == "error").astype(np.float64)

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        yield cls(), np.array(["b", "c", "a", "b"], object)
        yield cls(unknown="error", columns=("x",)), np.array([3.0, -1.0, 3.0])
