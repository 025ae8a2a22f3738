"""The parts of a split are disjoint, exact in size, stratified and the same everywhere."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.data.split.permutation import permutation
from core.data.split.split import split, split_groups, split_ordered
from core.errors import InvalidError

THREE = {"train": 0.8, "valid": 0.1, "test": 0.1}
fractions = st.lists(st.integers(1, 100), min_size=1, max_size=5).map(
    lambda weights: {f"part{i}": weight / sum(weights) for i, weight in enumerate(weights)}
)


@given(rows=st.integers(5, 2000), parts=fractions, seed=st.integers(-(2**70), 2**70))
def test_parts_are_a_partition_of_the_rows(rows: int, parts: dict[str, float], seed: int) -> None:
    dealt = split(rows, parts, seed)
    assert list(dealt) == list(parts)
    assert sorted(np.concatenate(list(dealt.values()))) == list(range(rows))
    for name, indices in dealt.items():
        assert indices.dtype == np.int64
        assert (np.diff(indices) > 0).all()
        assert abs(len(indices) - parts[name] * rows) <= len(parts)


@given(labels=st.lists(st.sampled_from("abcd"), min_size=40, max_size=400), seed=st.integers(0, 99))
def test_every_part_holds_each_class_in_proportion(labels: list[str], seed: int) -> None:
    values = np.array(labels)
    dealt = split(len(values), THREE, seed, values)
    assert sorted(np.concatenate(list(dealt.values()))) == list(range(len(values)))
    for name, indices in dealt.items():
        for label in np.unique(values):
            expected = THREE[name] * (values == label).sum()
            assert abs((values[indices] == label).sum() - expected) <= 3


def test_stratified_sizes_are_those_of_the_plain_split() -> None:
    labels = np.arange(1797) % 10
    plain, stratified = split(1797, THREE, 7), split(1797, THREE, 7, labels)
    assert {k: len(v) for k, v in plain.items()} == {k: len(v) for k, v in stratified.items()}
    assert {k: len(v) for k, v in plain.items()} == {"train": 1437, "valid": 180, "test": 180}


def test_seeds_differ_and_repeat() -> None:
    assert not np.array_equal(split(100, THREE, 1)["test"], split(100, THREE, 2)["test"])
    assert np.array_equal(split(100, THREE, 1)["test"], split(100, THREE, 1)["test"])


def test_text_and_object_labels_stratify() -> None:
    labels = np.array(["cat", "dog"] * 50, dtype=object)
    dealt = split(100, {"train": 0.5, "test": 0.5}, 3, labels)
    assert (labels[dealt["train"]] == "cat").sum() == 25


def test_fractions_below_one_leave_rows_out() -> None:
    dealt = split(100, {"train": 0.5, "test": 0.1}, 0)
    assert {name: len(rows) for name, rows in dealt.items()} == {"train": 50, "test": 10}


def test_the_order_never_changes_between_releases() -> None:
    # A changed value here would give every resumed job and every repeated experiment other rows.
    assert permutation(10, 7, "split").tolist() == EXPECTED_ORDER
    assert _digest(split(1797, THREE, 7, np.arange(1797) % 10)) == EXPECTED_DIGEST


def test_another_process_deals_the_same_rows() -> None:
    code = (
        "import numpy as np, hashlib; from core.data.split.split import split;"
        f"d = split(1797, {THREE!r}, 7, np.arange(1797) % 10);"
        "print(hashlib.sha256(b''.join(p.tobytes() for p in d.values())).hexdigest())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert printed.stdout.decode().strip() == EXPECTED_DIGEST


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (10, {"train": 0.8, "test": 0.3}),
        (10, {"train": -0.1, "test": 0.3}),
        (10, {"train": float("nan")}),
        (10, {"train": 0.0}),
        (10, {}),
        (2, THREE),
        (0, THREE),
    ],
)
def test_senseless_fractions_are_refused(rows: int, parts: dict[str, float]) -> None:
    with pytest.raises(InvalidError):
        split(rows, parts, 0)


def test_no_wanted_part_is_empty() -> None:
    assert {name: len(p) for name, p in split(3, THREE, 0).items()} == {
        "train": 1,
        "valid": 1,
        "test": 1,
    }


@given(
    sizes=st.lists(st.integers(2, 30) | st.integers(300, 500), min_size=3, max_size=9),
    seed=st.integers(0, 99),
)
def test_enough_groups_fill_every_part_however_uneven_they_are(sizes: list[int], seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    for shares in (THREE, {"train": 0.5, "valid": 0.1, "test": 0.1}, {"train": 0.5, "test": 0}):
        dealt = split_groups(groups, shares, seed)
        named = {name: set(groups[rows].tolist()) for name, rows in dealt.items()}
        assert [name for name, found in named.items() if found] == [n for n in shares if shares[n]]
        assert sum(map(len, named.values())) == len(set().union(*named.values()))
        for name, rows in dealt.items():
            assert len(rows) == np.isin(groups, list(named[name])).sum()


def test_too_few_groups_for_the_parts_are_refused() -> None:
    with pytest.raises(InvalidError, match="2 groups are too few for the parts train, valid, test"):
        split_groups(np.arange(100) % 2, THREE, 0)


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidError, match="labels of shape"):
        split(10, THREE, 0, np.zeros(9))


def _digest(parts: dict[str, NDArray[np.int64]]) -> str:
    return hashlib.sha256(b"".join(part.tobytes() for part in parts.values())).hexdigest()


EXPECTED_ORDER = [8, 3, 4, 6, 0, 5, 7, 1, 9, 2]
EXPECTED_DIGEST = "06df76337ba16f5a12241c0bd4e9e2051e7c569f27d17f01b2d735a14de2101a"


def test_parts_in_order_follow_each_other() -> None:
    order = np.array([4, 2, 0, 1, 3, 9, 8, 7, 6, 5])
    parts = split_ordered(order, {"train": 0.6, "valid": 0.2, "test": 0.2})
    assert {name: rows.tolist() for name, rows in parts.items()} == {
        "train": [0, 1, 2, 3, 4, 9],
        "valid": [7, 8],
        "test": [5, 6],
    }
    few = split_ordered(order, {"train": 0.5, "valid": 0.0, "test": 0.3})
    assert [len(rows) for rows in few.values()] == [5, 0, 3]
    assert few["test"].tolist() == [7, 8, 9]
