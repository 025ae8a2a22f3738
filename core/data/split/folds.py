"""Which fold of a cross-validation a row validates in: seeded, stratified or by whole groups."""

import heapq

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.data.split.permutation import permutation
from core.errors import InvalidError


def fold_numbers(
    rows: int, folds: int, seed: int, labels: ArrayLike | None = None
) -> NDArray[np.int64]:
    """The fold of each of `rows` rows, from 0 to `folds` - 1.

    Folds differ by one row at most, and with `labels` (one of each row) by one row of each class,
    as scikit-learn's KFold and StratifiedKFold deal them. Raises InvalidError for fewer rows than
    folds.
    """
    if rows < folds:
        raise InvalidError(f"{rows} rows are too few for {folds} folds")
    order = permutation(rows, seed, "folds")
    if labels is not None:
        order = order[np.argsort(np.asarray(labels)[order], kind="stable")]
    numbers = np.empty(rows, np.int64)
    numbers[order] = np.arange(rows) % folds
    return numbers


def group_fold_numbers(groups: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row, the same for all rows of a group (`groups` has the group of each).

    The largest group goes first, each to the fold that has the fewest rows, as scikit-learn's
    GroupKFold deals them; the seed decides between equals. Raises InvalidError for fewer groups
    than folds.
    """
    names, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < folds:
        raise InvalidError(f"{len(names)} groups are too few for {folds} folds")
    order = permutation(len(names), seed, "folds")
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = [(0, fold) for fold in range(folds)]
    numbers = np.empty(len(names), np.int64)
    for group in order:
        held, fold = filled[0]
        numbers[group] = fold
        heapq.heapreplace(filled, (held + int(sizes[group]), fold))
    return numbers[codes]
