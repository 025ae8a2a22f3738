"""The words of a text."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from pydantic import Field

from core.data.prepare.preparation import (
    CellError,
    Cells,
    ColumnName,
    Feature,
    Learned,
    Preparation,
)
from core.errors import InvalidError
from core.family import member

_WORD = re.compile(r"\b\w\w+\b")


@member
class BagOfWords(Preparation):
    """How often each of the most frequent words of the training rows is in a short text.

    Words are runs of two or more letters, digits and underscores, in lower case; their order is
    lost. `binary` says only whether a word is in the text. `tfidf` weighs the counts by how rare
    the word is, `1 + log((1 + rows) / (1 + rows with the word))`, and scales each row to length 1.
    Salton and Buckley, "Term-weighting approaches in automatic text retrieval" (1988).
    """

    since: ClassVar[int] = 2
    numbers: ClassVar[bool] = False
    text: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    kind: Literal["bag_of_words"] = "bag_of_words"
    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1, description="columns of text")]
    words: Annotated[int, Ge(1), Le(65_536)] = 256
    weights: Literal["count", "binary", "tfidf"] = "tfidf"

    def after(self, feature: Feature) -> Feature:
        return replace(feature, shape=(self.words,), text=False, classes=None, done=True)

    def learn(self, cells: Cells) -> Learned:
        return self.learn_blocks([cells])

    def learn_blocks(self, blocks: Iterable[Cells]) -> Learned:
        counts: Counter[str] = Counter()
        rows_with: Counter[str] = Counter()
        rows = 0
        for cells in blocks:
            for cell in cells.tolist():
                words = _words(rows, cell)
                counts.update(words)
                rows_with.update(set(words))
                rows += 1
        if not counts:
            raise InvalidError("no training row has a word of two or more letters")
        by_count = sorted(counts, key=lambda word: (-counts[word], word))
        known = tuple(sorted(by_count[: self.words]))
        rarity = [np.log((1 + rows) / (1 + rows_with[word])) + 1 for word in known]
        return Learned({"rarity": np.array(rarity)} if self.weights == "tfidf" else {}, known)

    def apply(self, cells: Cells, learned: Learned) -> Cells:
        place = {word: index for index, word in enumerate(learned.words)}
        out = np.zeros((len(cells), self.words), np.float64)
        for row, cell in enumerate(cells.tolist()):
            for word in _words(row, cell):
                if word in place:
                    out[row, place[word]] += 1
        if self.weights == "binary":
            out = (out > 0).astype(np.float64)
        if self.weights == "tfidf":
            out[:, : len(learned.words)] *= learned.arrays["rarity"]
            length = np.sqrt(np.square(out).sum(axis=1, keepdims=True))
            out /= np.where(length > 0, length, 1.0)
        return out.astype(np.float32)

    @classmethod
    def examples(cls) -> Iterator[tuple[Preparation, Cells]]:
        texts = np.array(["The cat sat.", "the dog; the cat", "A bird"], object)
        yield cls(columns=("x",), words=4), texts
        yield cls(columns=("x",), words=9, weights="count"), texts
        yield cls(columns=("x",), words=3, weights="binary"), texts


def _words(row: int, cell: str | None) -> list[str]:
    """The words of a text. Raises CellError for an empty cell."""
    if cell is None:
        raise CellError(row, "the cell is empty: put an impute step before this one")
    return _WORD.findall(cell.lower())
