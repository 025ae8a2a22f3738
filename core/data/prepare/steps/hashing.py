"""A bucket for each value, by its hash."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from core.data.prepare.preparation import (
    CellError,
    Cells,
    Columns,
    Encoder,
    Feature,
    Learned,
    Preparation,
)
from core.family import member


@member
class Hashing(Encoder):
    """1 in the bucket that the value's BLAKE2b hash names, 0 in the others: learns nothing.

    For columns of very many values, and values that are still to come; different values may share
    a bucket. A number is hashed by its text, whole numbers without a fraction. By default the
    columns of text.
    """

    learns: ClassVar[bool] = False

    kind: Literal["hashing"] = "hashing"
    columns: Columns = ()
    buckets: Annotated[int, Ge(2), Le(65_536)] = 64
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0

    def after(self, feature: Feature) -> Feature:
        return replace(feature, shape=(self.buckets,), text=False, done=True)

    def learn(self, cells: Cells) -> Learned:
        return Learned()

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        out = np.zeros((len(cells), self.buckets), np.float32)
        known: dict[str, int] = {}
        for row, cell in enumerate(cells.tolist()):
            if cell is None or cell != cell:
                raise CellError(row, "the cell is empty: put an impute step before this one")
            word = cell if isinstance(cell, str) else _word(cell)
            if word not in known:
                known[word] = self._bucket(word)
            out[row, known[word]] = 1
        return out

    def _bucket(self, word: str) -> int:
        digest = hashlib.blake2b(
            word.encode(), digest_size=8, key=self.seed.to_bytes(4, "little")
        ).digest()
        return int.from_bytes(digest, "little") % self.buckets

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        yield cls(buckets=4), np.array(["b", "c", "a", "b"], object)
        yield cls(buckets=3, seed=1, columns=("x",)), np.array([3.0, -1.5, 3.0])


def _word(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)
