"""Rows are split by what a column says, or by groups that stay together."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from core.data.ingest.profile import describe
from core.data.table.query import parse
from core.data.table.row_filter import select, select_parts
from core.errors import InvalidError
from core.spec import JobSpec
from core.spec.admission import check
from core.training.dataset import from_table, load
from core.training.dataset_types import Part
from tests.core.training.conftest import write

ROWS = 400


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    rng = np.random.default_rng(0)
    patient = rng.integers(0, 40, ROWS)
    part = np.where(patient < 30, "train", np.where(patient < 35, "valid", "test"))
    part[:7] = "none"
    table = pa.table(
        {
            "a": rng.normal(size=ROWS),
            "patient": patient,
            "part": part,
            "y": np.arange(ROWS, dtype=float),
        }
    )
    return write(table, tmp_path_factory.mktemp("patients") / "p.arrow"), table


def spec_of(split: dict[str, Any], **more: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "experiment": "e",
            "dataset": "d@1",
            "data": {"target": "y", "split": split, **more},
            "network": [{"kind": "dense", "units": 1}],
            "loss": {"kind": "mean_squared_error"},
        }
    )


def rows_of(part: Part | None) -> set[int]:
    return set() if part is None else {int(y) for y in part.y.reshape(-1)}


def test_a_column_says_the_part_of_each_row(patients: tuple[Path, pa.Table]) -> None:
    path, table = patients
    spec = spec_of({"column": "part"}, features=["a"])
    check(spec, describe(path), 10**9)
    for dataset, encoding in (from_table(spec, table), load(spec, path, 2_000)):
        for part in ("train", "valid", "test"):
            wanted = set(np.flatnonzero(table.column("part").to_numpy() == part).tolist())
            assert rows_of(getattr(dataset, part)) == wanted
        assert [column.name for column in encoding.features] == ["a"]
    without_test = spec_of({"column": "part", "test": 0}, features=["a"])
    assert from_table(without_test, table)[0].test is None


@pytest.mark.parametrize(
    "query",
    [
        "@split:0.6:0.2:0.1 @seed:5",
        "a:>-1 @sample:0.9 @limit:300 @split:0.7:0.3 @stratify:part",
        "@split:0.6:0.2:0.2 @group_by:patient @seed:2",
        "a:>-1 @split:part",
    ],
)
def test_a_job_trains_on_the_parts_that_its_query_makes(
    patients: tuple[Path, pa.Table], query: str
) -> None:
    path, table = patients
    spec = spec_of({}, features=["a"], query=query)
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec
    check(spec, describe(path), 10**9)
    for dataset, _ in (from_table(spec, table), load(spec, path, 2_000)):
        for part in ("train", "valid", "test"):
            wanted = select_parts(parse(query), table)[1][part]
            assert rows_of(getattr(dataset, part)) == set(wanted.tolist())


def test_a_job_may_split_the_part_that_its_query_keeps(patients: tuple[Path, pa.Table]) -> None:
    _, table = patients
    query = "@split:0.6:0.4 @part:train"
    halves = {"train": 0.5, "valid": 0.5, "test": 0}
    dataset, _ = from_table(spec_of(halves, features=["a"], query=query), table)
    train, valid = rows_of(dataset.train), rows_of(dataset.valid)
    assert train | valid == set(select(parse(query), table).tolist())
    assert (len(train), len(valid)) == (120, 120)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"split": {"train": 0.5}}, ("data", "split")),
        ({"split": {"column": "part"}}, ("data", "split")),
        ({"split": {"group_by": "patient"}}, ("data", "split")),
        ({"split_seed": 3}, ("data", "split_seed")),
        ({"stratify": True}, ("data", "stratify")),
    ],
)
def test_two_splits_that_differ_are_refused_by_the_field(
    data: dict[str, Any], place: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError, match="sets another") as caught:
        spec_of(**{"split": {}, "query": "@split:0.6:0.4 @seed:7", **data})
    assert caught.value.errors()[0]["loc"] == place
    same: dict[str, Any] = {
        "split": {"train": 0.6, "valid": 0.4, "fold": {"number": 0, "of": 3}},
        "split_seed": 7,
    }
    assert spec_of(query="@split:0.6:0.4 @seed:7", **same).data.split.fold is not None


def test_a_column_may_be_spread_evenly(patients: tuple[Path, pa.Table]) -> None:
    path, table = patients
    spec = spec_of({"stratify_by": "part"}, features=["a"])
    check(spec, describe(path), 10**9)
    for dataset, _ in (from_table(spec, table), load(spec, path, 2_000)):
        found = table.column("part").to_numpy()[sorted(rows_of(dataset.valid))]
        for name in ("train", "valid", "test"):
            share = (table.column("part").to_numpy() == name).sum() / 10
            assert abs((found == name).sum() - share) <= 1
    with pytest.raises(ValueError, match="cannot be stratified"):
        spec_of({"stratify_by": "part", "group_by": "patient"})


def test_the_columns_of_a_split_do_not_go_in(patients: tuple[Path, pa.Table]) -> None:
    _, table = patients
    _, encoding = from_table(spec_of({"column": "part"}), table)
    assert [column.name for column in encoding.features] == ["a", "patient"]
    _, encoding = from_table(spec_of({"group_by": "patient"}, features=["a"]), table)
    assert [column.name for column in encoding.features] == ["a"]


def test_groups_stay_together_and_shares_are_kept_about(patients: tuple[Path, pa.Table]) -> None:
    path, table = patients
    patient = table.column("patient").to_numpy()
    spec = spec_of({"group_by": "patient", "train": 0.6, "valid": 0.2, "test": 0.2}, features=["a"])
    check(spec, describe(path), 10**9)
    dataset, _ = from_table(spec, table)
    parts = [rows_of(dataset.train), rows_of(dataset.valid), rows_of(dataset.test)]
    assert sum(map(len, parts)) == ROWS
    groups = [{int(patient[row]) for row in part} for part in parts]
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert abs(len(parts[0]) / ROWS - 0.6) < 0.1
    other, _ = from_table(spec_of({"group_by": "patient"}, features=["a"], split_seed=1), table)
    assert rows_of(other.train) != parts[0]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"column": "colour"}, "'colour' is not a column"),
        ({"column": "patient"}, "no row has 'train' in column 'patient'"),
        ({"group_by": "colour"}, "'colour' is not a column"),
        ({"order_by": "colour"}, "'colour' is not a column"),
    ],
)
def test_a_split_that_cannot_be_is_refused_when_it_is_submitted(
    patients: tuple[Path, pa.Table], split: dict[str, Any], message: str
) -> None:
    path, _ = patients
    with pytest.raises(InvalidError, match=message):
        check(spec_of(split, features=["a"]), describe(path), 10**9)


def test_too_few_groups_are_said(patients: tuple[Path, pa.Table]) -> None:
    _, table = patients
    table = table.set_column(1, "patient", pa.array(np.zeros(ROWS, int)))
    with pytest.raises(InvalidError, match="1 groups are too few"):
        from_table(spec_of({"group_by": "patient"}, features=["a"]), table)


def test_both_ways_at_once_make_no_sense() -> None:
    with pytest.raises(ValueError, match="not both"):
        spec_of({"column": "part", "group_by": "patient"})


def test_pictures_are_asked_for_by_what_needs_them(patients: tuple[Path, pa.Table]) -> None:
    path, _ = patients
    spec = spec_of({}, features=["a"], augment=[{"kind": "noise"}, {"kind": "flip"}])
    with pytest.raises(InvalidError, match=r"data.augment\[1\]: flip needs pictures"):
        check(spec, describe(path), 10**9)


@pytest.mark.parametrize(
    ("split", "shares"),
    [
        ({"train": 0.8, "valid": 0, "test": 0.2}, (320, 0, 80)),
        ({"column": "part"}, None),
        ({"group_by": "patient", "test": 0.2, "valid": 0}, None),
    ],
)
def test_every_row_that_does_not_test_validates_in_one_fold(
    patients: tuple[Path, pa.Table], split: dict[str, Any], shares: tuple[int, ...] | None
) -> None:
    path, table = patients
    plain = from_table(spec_of(split, features=["a"]), table)[0]
    rest = rows_of(plain.train) | rows_of(plain.valid)
    seen: list[int] = []
    for number in range(5):
        spec = spec_of({**split, "fold": {"number": number, "of": 5}}, features=["a"])
        check(spec, describe(path), 10**9)
        for dataset in (from_table(spec, table)[0], load(spec, path, 2_000)[0]):
            valid = rows_of(dataset.valid)
            assert rows_of(dataset.train) == rest - valid
            assert rows_of(dataset.test) == rows_of(plain.test)
        seen += valid
        if "group_by" in split:
            patient = table.column("patient").to_numpy()
            apart = set(patient[list(valid)]) & set(patient[list(rest - valid)])
            assert not apart
    assert sorted(seen) == sorted(rest)
    if shares is not None:
        assert len(rest) == shares[0]


def test_the_lowest_rows_train_and_the_highest_test(patients: tuple[Path, pa.Table]) -> None:
    path, table = patients
    order = np.argsort(table.column("a").to_numpy(), kind="stable").tolist()
    spec = spec_of(
        {"order_by": "a", "train": 0.5, "valid": 0.25, "test": 0.25}, features=["patient"]
    )
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec
    check(spec, describe(path), 10**9)
    for dataset, _ in (from_table(spec, table), load(spec, path, 2_000)):
        assert rows_of(dataset.train) == set(order[:200])
        assert rows_of(dataset.valid) == set(order[200:300])
        assert rows_of(dataset.test) == set(order[300:])
    encoding = from_table(spec_of({"order_by": "a"}), table.drop_columns(["part"]))[1]
    assert [column.name for column in encoding.features] == ["patient"]


def test_a_fold_in_order_validates_after_the_rows_that_train(
    patients: tuple[Path, pa.Table],
) -> None:
    path, table = patients
    values = table.column("a").to_numpy()
    for number in range(4):
        split = {"order_by": "a", "fold": {"number": number, "of": 4}}
        spec = spec_of(split, features=["patient"])
        check(spec, describe(path), 10**9)
        dataset, _ = from_table(spec, table)
        train, valid, test = (
            values[sorted(rows_of(part))] for part in (dataset.train, dataset.valid, dataset.test)
        )
        assert train.max() <= valid.min()
        assert valid.max() <= test.min()
        shares = spec.data.split.shares
        assert abs(len(train) - 400 * shares["train"]) < 5
        assert abs(len(valid) - 400 * shares["valid"]) < 5


def test_folds_that_cannot_be_are_refused(patients: tuple[Path, pa.Table]) -> None:
    path, _ = patients
    with pytest.raises(ValueError, match="no fold 5 of 5"):
        spec_of({"fold": {"number": 5, "of": 5}})
    few = describe(path).model_copy(update={"rows": 4})
    with pytest.raises(InvalidError, match=r"data.split.fold.of: 4 rows are too few"):
        check(spec_of({"fold": {"number": 0, "of": 5}}, features=["a"]), few, 10**9)


def test_a_class_of_one_row_is_validated_in_its_fold_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = pa.table({"a": np.arange(20.0), "y": ["rare", *("ab"[n % 2] for n in range(19))]})
    seen = []
    for number in range(4):
        spec = JobSpec.model_validate(
            {
                **spec_of(
                    {"valid": 0.2, "test": 0, "fold": {"number": number, "of": 4}}
                ).model_dump(),
                "network": [{"kind": "dense", "units": 3}],
                "loss": {"kind": "cross_entropy"},
            }
        )
        caplog.clear()
        dataset, encoding = from_table(spec, table)
        assert encoding.classes == (("a", "b", "rare"),)
        assert dataset.valid is not None
        assert dataset.valid.numbers is not None
        assert (2 in dataset.valid.y) != (2 in dataset.train.y)
        assert (2 in dataset.valid.y) == ("no training row has the class 'rare'" in caplog.text)
        seen += dataset.valid.numbers.tolist()
    assert sorted(seen) == list(range(20))
