"""Which fold of a cross-validation a row validates in: stratified, by groups, or in order."""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.data.split.permutation import permutation
from core.errors import InvalidError


@dataclass(frozen=True)
class Fold:
    """Which fold of a cross-validation validates: `number`, from 0, of `count` folds."""

    number: int
    count: int


def ordered_fold(
    rows: NDArray[np.int64], fold: Fold
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows that train and those that validate in a fold of rows given in an order.

    As scikit-learn's TimeSeriesSplit: the last blocks of equal size validate, one in each fold, and
    all rows before the block train. Raises InvalidError for fewer rows than blocks.
    """
    size = len(rows) // (fold.count + 1)
    if not size:
        raise InvalidError(f"{len(rows)} rows are too few for {fold.count} folds in order")
    start = len(rows) - (fold.count - fold.number) * size
    return rows[:start], rows[start : start + size]


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
