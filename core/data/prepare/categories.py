"""Categories of a column, learned from the training rows, and the code of each cell."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from core.data.prepare.preparation import CellError, Cells, Learned
from core.errors import InvalidError


def learn(cells: Cells, most: int) -> Learned:
    """The distinct values, in order. Raises InvalidError when there are more than `most`."""
    return learn_blocks([cells], most)


def learn_blocks(blocks: Iterable[Cells], most: int) -> Learned:
    """As `learn`, from cells that arrive in blocks."""
    words: set[str] = set()
    numbers: NDArray[np.float64] = np.empty(0)
    rows, text = 0, False
    for cells in blocks:
        _refuse_empty(cells, rows)
        rows += len(cells)
        if cells.dtype == object:
            text = True
            words.update(cells.tolist())
        else:
            numbers = np.unique(np.concatenate([numbers, np.unique(cells.astype(np.float64))]))
    learned = Learned({}, tuple(sorted(words))) if text else Learned({"categories": numbers})
    count = size(learned)
    if count > most:
        raise InvalidError(f"there are {count} distinct values, more than {most}: use hashing")
    return learned


def size(learned: Learned) -> int:
    """The number of categories."""
    return len(learned.arrays["categories"]) if learned.arrays else len(learned.words)


def codes(cells: Cells, learned: Learned, *, strict: bool) -> NDArray[np.int64]:
    """The position of each cell among the categories; `size` for an unknown value.

    Raises CellError for an empty cell and, when `strict`, for an unknown value.
    """
    _refuse_empty(cells)
    beyond = size(learned)
    if learned.arrays:
        known = learned.arrays["categories"]
        values = cells.astype(np.float64)
        places = np.searchsorted(known, values)
        seen = known[np.minimum(places, beyond - 1)] == values
        encoded = np.where(seen, places, beyond).astype(np.int64)
    else:
        place = {word: code for code, word in enumerate(learned.words)}
        encoded = np.fromiter(
            (place.get(cell, beyond) for cell in cells.tolist()), np.int64, len(cells)
        )
    if strict and (encoded == beyond).any():
        row = int(np.argmax(encoded == beyond))
        raise CellError(row, f"no training row has the value {cells[row]!r:.100}")
    return encoded


def _refuse_empty(cells: Cells, before: int = 0) -> None:
    if cells.dtype == object:
        empty = np.fromiter((cell is None for cell in cells.tolist()), bool, len(cells))
    else:
        empty = np.isnan(cells)
    if empty.any():
        row = int(np.argmax(empty))
        raise CellError(before + row, "the cell is empty: put an impute step before this one")
