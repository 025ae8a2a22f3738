"""Queries keep the right rows, the same on every machine, and say what is wrong with bad ones."""

import subprocess
import sys
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.data.table.query import parse
from core.data.table.row_filter import select
from core.errors import InvalidError

TABLE = pa.table(
    {
        "label": [0, 1, 2, 3, 4, 5, 6, None],
        "source": ["scanner", "phone", "scanner", None, "phone", "scan ner", "OR", "scanner"],
        "size": [0.5, 1.5, 2.5, 3.5, float("nan"), 5.5, -6.5, 7.5],
        "good": [True, False, True, True, None, False, True, True],
    }
)


def kept(text: str, table: pa.Table = TABLE) -> list[int]:
    rows: list[int] = select(parse(text), table).tolist()
    return rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", list(range(8))),
        ("label:3", [3]),
        ("label:[0 TO 4] AND source:scanner", [0, 2]),
        ("label:[0 TO 4] source:scanner", [0, 2]),
        ("label:{0 TO 4}", [1, 2, 3]),
        ("label:[5 TO *]", [5, 6]),
        ("label:[* TO *]", [0, 1, 2, 3, 4, 5, 6]),
        ("label:>=5 OR label:<1", [0, 5, 6]),
        ("source:phone OR source:scanner AND label:2", [1, 2, 4]),
        ("(source:phone OR source:scanner) AND label:2", [2]),
        ("NOT source:scanner", [1, 3, 4, 5, 6]),
        ("NOT NOT label:1", [1]),
        ('source:"scan ner"', [5]),
        ('source:"OR"', [6]),
        ("source:(phone scanner)", [0, 1, 2, 4, 7]),
        ("source:*", [0, 1, 2, 4, 5, 6, 7]),
        ("NOT label:*", [7]),
        ("size:<0", [6]),
        ("size:-6.5", [6]),
        ("label:1.5", []),
        ("good:true", [0, 2, 3, 6, 7]),
        ("source:scanner @limit:2", [0, 2]),
        ("@limit:2 source:scanner", [0, 2]),
    ],
)
def test_the_rows_that_are_meant(text: str, rows: list[int]) -> None:
    assert kept(text) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label:", "a value is missing"),
        ("label", "':' is missing"),
        ("(label:1", r"'\)' is missing"),
        ("label:1)", "was not expected"),
        ("label:[1 2]", "low TO high"),
        ("color:red", "there is no column 'color'; the columns are label"),
        ("label:red", "column 'label' holds int64"),
        ("label:1 AND", "a column is missing"),
        ("label:1 @shuffle:3", "@shuffle is not known"),
        ("(label:1 @limit:3)", "cannot stand in parentheses"),
        ("@limit:1 @limit:2", "given twice"),
        ("@sample:2", "a share above 0 up to 1"),
        ("@limit:-1", "@limit takes a whole number from 1"),
        ('source:"open', "cannot be read"),
        ("@split:0.8", "shares for train and valid"),
        ("@split:0.8:0.3", "of 1 at most together"),
        ("@split:0:0.3", "above 0 for train"),
        ("@split:0.8:x", "'x' is no share"),
        ("@split:color", "there is no column 'color'"),
        ("@split:0.4:0.4 @part:dev", "@part is train, valid or test"),
        ("@part:train", "a @split, which is missing"),
        ("@split:source @stratify:label", "the column says it all"),
        ("@split:0.5:0.5 @stratify:label @group_by:source", "cannot be stratified"),
        ("label:1 @split:0.4:0.4:0.2", "1 rows are too few"),
        ("(" * 60 + "label:1" + ")" * 60, "inside each other"),
        ("@group_by:patient", "no column 'patient'"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message) as caught:
        kept(text)
    assert caught.value.errors[0].path == "query"


def test_a_sample_has_its_size_and_its_seed() -> None:
    table = pa.table({"x": np.arange(1000)})
    half = kept("@sample:0.5 @seed:7", table)
    assert len(half) == 500
    assert half == sorted(half) == kept("@seed:7 @sample:.5", table)
    assert half != kept("@sample:0.5 @seed:8", table)


def test_groups_stay_whole() -> None:
    patient = np.random.default_rng(0).integers(0, 50, 1000)
    table = pa.table({"patient": patient})
    rows = kept("@sample:0.3 @group_by:patient", table)
    inside, outside = set(patient[rows]), set(np.delete(patient, rows))
    assert len(inside) == 15
    assert not inside & outside


def test_a_split_deals_what_is_left_to_parts() -> None:
    table = pa.table({"x": np.arange(1000), "kind": np.arange(1000) % 10})
    text = "x:<800 @split:0.6:0.2:0.1 @seed:3"
    parts = {name: kept(f"{text} @part:{name}", table) for name in ("train", "valid", "test")}
    assert {name: len(rows) for name, rows in parts.items()} == {
        "train": 480,
        "valid": 160,
        "test": 80,
    }
    assert sorted(chain(*parts.values())) == kept(text, table)
    assert max(kept(text, table)) < 800
    assert parts["valid"] != kept("x:<800 @split:0.6:0.2:0.1 @seed:4 @part:valid", table)
    evenly = kept("@split:0.9:0.1 @stratify:kind @part:valid", table)
    assert np.bincount(np.array(evenly) % 10).tolist() == [10] * 10


def test_a_split_keeps_groups_whole_or_reads_a_column() -> None:
    patient = np.random.default_rng(1).integers(0, 40, 500)
    part = np.where(patient < 30, "train", np.where(patient < 35, "test", "no"))
    table = pa.table({"patient": patient, "my part": part})
    whole = "@split:0.5:0.5 @group_by:patient @part:"
    train, valid = (set(patient[kept(whole + name, table)]) for name in ("train", "valid"))
    assert not train & valid
    assert len(train | valid) == 40
    for name in ("train", "test", "valid"):
        wanted = np.flatnonzero(part == name).tolist()
        assert kept(f'@split:"my part" @part:{name}', table) == wanted
    assert kept('@split:"my part"', table) == np.flatnonzero(part != "no").tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.sampled_from(["a", "b", None])), max_size=40),
    st.sampled_from(
        ["n:>0 OR s:a", "NOT s:b @sample:0.5 @seed:3", "@sample:.4 @group_by:s"]
        + [f"@split:.6:.4 {how} @part:valid" for how in ("", "@stratify:s", "@group_by:s")]
    ),
    st.integers(1, 7),
)
def test_how_rows_lie_in_batches_changes_nothing(
    cells: list[tuple[int | None, str]], text: str, size: int
) -> None:
    assume("@split" not in text or len({s for _, s in cells}) > 2)
    columns = {
        "n": pa.array([n for n, _ in cells], pa.int64()),
        "s": pa.array([s for _, s in cells], pa.string()),
    }
    whole = pa.table(columns)
    pieces = pa.Table.from_batches(whole.to_batches(max_chunksize=size), whole.schema)
    assert kept(text, pieces) == kept(text, whole)


PROGRAM = """
import pyarrow as pa
from core.data.table.query import parse
from core.data.table.row_filter import select
table = pa.table({"x": list(range(200)), "g": [n * n % 17 for n in range(200)]})
text = "x:>20 @sample:0.5 @seed:5 @group_by:g @limit:70 @split:.6:.4 @part:train"
print(select(parse(text), table).tolist())
"""


def test_another_process_keeps_the_same_rows() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(said[0].split(",")) > 10
