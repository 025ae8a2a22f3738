"""Folds are what scikit-learn makes of rows: a partition, even, stratified, of whole groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

from core.data.split.folds import Fold, fold_numbers, group_fold_numbers, ordered_fold
from core.errors import InvalidError


@settings(max_examples=30)
@given(rows=st.integers(7, 300), folds=st.integers(2, 7), seed=st.integers(0, 99))
def test_folds_are_as_large_as_those_of_kfold(rows: int, folds: int, seed: int) -> None:
    sizes = [len(valid) for _, valid in KFold(folds).split(np.zeros(rows))]
    assert np.bincount(fold_numbers(rows, folds, seed)).tolist() == sizes


@pytest.mark.filterwarnings("ignore:The least populated class")
@settings(max_examples=30)
@given(labels=st.lists(st.sampled_from("abc"), min_size=30, max_size=300), folds=st.integers(2, 9))
def test_each_class_is_spread_as_stratifiedkfold_spreads_it(labels: list[str], folds: int) -> None:
    values = np.array(labels)
    numbers = fold_numbers(len(values), folds, 3, values)
    assert np.ptp(np.bincount(numbers)) <= 1
    for label in np.unique(values):
        mine = np.bincount(numbers[values == label], minlength=folds)
        assert mine.max() - mine.min() <= 1
        if (values == label).sum() >= folds and min(map(labels.count, set(labels))) >= folds:
            theirs = [
                (values[valid] == label).sum()
                for _, valid in StratifiedKFold(folds).split(values, values)
            ]
            assert sorted(mine) == sorted(theirs)


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 30), min_size=5, max_size=20), folds=st.integers(2, 5))
def test_groups_fill_folds_as_groupkfold_fills_them(sizes: list[int], folds: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    numbers = group_fold_numbers(groups, folds, 1)
    for group in range(len(sizes)):
        assert len(set(numbers[groups == group])) == 1
    theirs = [len(valid) for _, valid in GroupKFold(folds).split(groups, groups=groups)]
    assert sorted(np.bincount(numbers)) == sorted(theirs)


def test_a_seed_decides() -> None:
    one, other = fold_numbers(100, 5, 1), fold_numbers(100, 5, 2)
    assert (one == fold_numbers(100, 5, 1)).all()
    assert (one != other).any()
    groups = np.arange(40) % 20
    assert (group_fold_numbers(groups, 5, 1) != group_fold_numbers(groups, 5, 2)).any()


def test_too_few_are_refused() -> None:
    with pytest.raises(InvalidError, match="4 rows are too few for 5 folds"):
        fold_numbers(4, 5, 0)
    with pytest.raises(InvalidError, match="2 groups are too few for 5 folds"):
        group_fold_numbers(np.arange(10) % 2, 5, 0)


@pytest.mark.parametrize(("rows", "folds"), [(6, 5), (100, 5), (103, 4), (11, 2)])
def test_folds_in_order_are_those_of_scikit_learn(rows: int, folds: int) -> None:
    order = np.random.default_rng(rows).permutation(rows)
    theirs = TimeSeriesSplit(folds).split(order)
    for number, (train, valid) in enumerate(theirs):
        ours = ordered_fold(order, Fold(number, folds))
        assert ours[0].tolist() == order[train].tolist()
        assert ours[1].tolist() == order[valid].tolist()


def test_too_few_rows_for_folds_in_order_are_refused() -> None:
    with pytest.raises(InvalidError, match="5 rows are too few for 5 folds in order"):
        ordered_fold(np.arange(5), Fold(0, 5))
