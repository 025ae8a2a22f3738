"""A first JobSpec is accepted and trains as it is; a schema is whole."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pyarrow as pa
import pytest

from api.app import create_app
from chainrule.specs import first_spec, schema_of
from core.data.ingest.canonical import write
from core.data.ingest.column_checks import check_columns
from core.data.ingest.limits import Limits
from core.data.ingest.profile import describe
from core.events import TrainingEnded
from core.settings import Settings
from core.spec import JobSpec
from core.spec.admission import check
from core.spec.job import DIGITS
from core.spec.sweep import EXAMPLE
from core.training.loop import train

ROWS = 120
SEED = np.random.default_rng(0)
NUMBERS = SEED.normal(size=ROWS)
KINDS = ["a", "b", "c"] * 40
GAPS = [None if place % 11 == 0 else value for place, value in enumerate(NUMBERS.tolist())]


def version_of(table: pa.Table, path: Path) -> dict[str, Any]:
    """A dataset version as the api returns it."""
    write(iter(table.to_batches()), path, Limits())
    schema = describe(path)
    document = schema.model_dump(mode="json")
    warnings = [warning.model_dump(mode="json") for warning in check_columns(path, schema)]
    return {"name": "pets", "version": 3, "warnings": warnings, **document}


CASES: dict[str, dict[str, Any]] = {
    "classes": {"x": NUMBERS, "label": KINDS},
    "two classes": {"y": [True, False] * 60, "x": NUMBERS},
    "whole numbers as classes": {"x": NUMBERS, "Class": [0, 1, 2] * 40},
    "numbers": {"x": NUMBERS, "price": NUMBERS * 3},
    "gaps and text": {
        "id": np.arange(ROWS),
        "x": GAPS,
        "kind": [None, "u", "v"] * 40,
        "empty": pa.nulls(ROWS, pa.float64()),
        "name": [f"person {place}" for place in range(ROWS)],
        "label": KINDS,
    },
    "dates": {
        "when": [f"2026-{place % 12 + 1:02}-01T08:00:00Z" for place in range(ROWS)],
        "kind": KINDS,
        "y": NUMBERS,
    },
    "rows without a target": {"x": NUMBERS, "the label": GAPS},
    "an image": {"image": np.arange(ROWS * 16) % 7, "label": KINDS},
    "several numbers to predict": {"x": NUMBERS, "y": np.arange(ROWS * 16) / 7},
    "a few rows": {"x": NUMBERS[:4], "label": KINDS[:4]},
}


def table(columns: dict[str, Any]) -> pa.Table:
    """A table; a column with 16 numbers a row holds arrays of 4 by 4."""
    shaped = {
        name: np.reshape(values, (ROWS, 4, 4)).tolist() if len(values) == 16 * ROWS else values
        for name, values in columns.items()
    }
    return pa.table(shaped)


@pytest.mark.parametrize("case", CASES)
def test_a_first_spec_trains_as_it_is(case: str, tmp_path: Path) -> None:
    path = tmp_path / "table.arrow"
    version = version_of(table(CASES[case]), path)
    document = first_spec(version)
    spec = JobSpec.model_validate_json(json.dumps(document))
    assert spec.dataset == "pets@3"
    schema = describe(path)
    check(spec, schema, 2**30, check_columns(path, schema))
    *_, ended = train(spec.model_copy(update={"epochs": 2}), path, tmp_path)
    assert isinstance(ended, TrainingEnded)


def test_what_the_columns_say_is_in_the_spec(tmp_path: Path) -> None:
    version = version_of(table(CASES["gaps and text"]), tmp_path / "table.arrow")
    spec = first_spec(version)
    assert spec["data"]["features"] == ["x", "kind"]
    assert spec["data"]["prepare"] == [
        {"kind": "impute", "strategy": "most_frequent", "columns": ["kind"]},
        {"kind": "impute", "strategy": "median", "columns": ["x"]},
        {"kind": "one_hot"},
    ]
    assert spec["loss"] == {"kind": "cross_entropy"}
    assert first_spec(version, "x")["loss"] == {"kind": "mean_squared_error"}
    assert first_spec(version, "x")["data"]["query"] == '"x":*'
    with pytest.raises(ValueError, match="there is no column 'price'"):
        first_spec(version, "price")
    with pytest.raises(ValueError, match="no column is left"):
        first_spec({**version, "columns": [c for c in version["columns"] if c["name"] == "label"]})


@pytest.mark.parametrize(("name", "example"), [("JobSpec", DIGITS), ("SweepSpec", EXAMPLE)])
def test_a_schema_holds_all_that_it_refers_to(
    name: str, example: dict[str, Any], tmp_path: Path
) -> None:
    schema = schema_of(create_app(Settings(data_dir=tmp_path)).openapi(), name)
    assert "#/components/" not in json.dumps(schema)
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid(example)
    assert not validator.is_valid({**example, "nonsense": 1})
