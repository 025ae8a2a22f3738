"""Whether a spec fits its data is found out by arithmetic, before anything is queued."""

from typing import Any

import pytest

from core.data.table.column_warnings import ColumnWarning
from core.data.table.schema import ColumnSchema, DatasetSchema
from core.errors import InvalidError
from core.spec import JobSpec
from core.spec.admission import admit, check, input_shape
from core.spec.job import DIGITS

SCHEMA = DatasetSchema(
    rows=1797,
    columns=(
        *(ColumnSchema(name=f"p{i}", dtype="int64") for i in range(64)),
        ColumnSchema(name="label", dtype="int64", classes=tuple(range(10))),
        ColumnSchema(name="price", dtype="float64"),
        ColumnSchema(name="name", dtype="string", classes=("a", "b", "c")),
        ColumnSchema(name="holes", dtype="float64", nulls=3),
        ColumnSchema(name="image", dtype="uint8", shape=(8, 8, 1)),
    ),
)
PIXELS = [f"p{i}" for i in range(64)]


def job(**changes: Any) -> JobSpec:
    data = {"target": "label", "features": PIXELS}
    return JobSpec.model_validate({**DIGITS, "data": data, **changes})


def paths(spec: JobSpec, limit: int = 2**30) -> list[str]:
    with pytest.raises(InvalidError) as caught:
        check(spec, SCHEMA, limit)
    return [error.path for error in caught.value.errors]


def test_a_fitting_spec_is_admitted() -> None:
    check(job(), SCHEMA, 2**30)


def test_one_tensor_column_keeps_its_shape() -> None:
    spec = job(data={"target": "label", "features": ["image"]})
    assert input_shape(spec, SCHEMA) == (8, 8, 1)
    assert input_shape(job(), SCHEMA) == (64,)


def test_a_limit_is_met_to_the_byte() -> None:
    exact = (64 * 64 + 64 + 64 * 10 + 10) * 4
    check(job(), SCHEMA, exact)
    assert paths(job(), exact - 1) == ["network"]


def test_the_default_batch_is_for_few_rows_too() -> None:
    few = SCHEMA.model_copy(update={"rows": 20})
    check(job(), few, 2**30)
    with pytest.raises(InvalidError, match=r"33 is more than the 16 training rows"):
        check(job(batch_size=33), few, 2**30)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"network": [{"kind": "dense", "units": 9}]}, "network[0].units"),
        ({"network": [{"kind": "dense", "units": 10}, {"kind": "softmax"}]}, "network[1]"),
        ({"data": {"target": "nope"}}, "data.target"),
        ({"data": {"target": "label", "features": ["p0", "nope"]}}, "data.features[1]"),
        ({"data": {"target": "label", "features": ["p0", "name"]}}, "data.features"),
        ({"data": {"target": "label", "features": ["p0", "holes"]}}, "data.features"),
        ({"data": {"target": "label", "features": ["p0", "label"]}}, "data.features"),
        ({"data": {"target": "holes", "features": PIXELS}}, "data.target"),
        (
            {
                "data": {"target": "name", "features": PIXELS},
                "loss": {"kind": "mean_squared_error"},
                "network": [{"kind": "dense", "units": 1}],
                "metrics": [],
            },
            "data.target",
        ),
        ({"data": {"target": "price", "features": PIXELS}}, "data.target"),
        ({"batch_size": 1500}, "batch_size"),
        (
            {"early_stopping": {"metric": "valid/nonsense"}},
            "early_stopping.metric",
        ),
        (
            {
                "metrics": [{"kind": "confusion_matrix"}],
                "early_stopping": {"metric": "valid/confusion_matrix"},
            },
            "early_stopping.metric",
        ),
        ({"metrics": [{"kind": "accuracy"}, {"kind": "accuracy"}]}, "metrics[1]"),
        (
            {
                "network": [
                    {"kind": "dense", "units": 1_000_000},
                    {"kind": "dense", "units": 1_000_000},
                    {"kind": "dense", "units": 10},
                ]
            },
            "network",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], path: str) -> None:
    assert path in paths(job(**changes))


def flagged(*names: str, named_only: bool = True) -> list[ColumnWarning]:
    return [
        ColumnWarning(column=name, kind="identifier", message="is unusual", named_only=named_only)
        for name in names
    ]


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        ({}, ["p0", "name"]),
        ({"prepare": [{"kind": "one_hot"}]}, ["p0", "name"]),
        ({"prepare": [{"kind": "one_hot", "columns": ["name"]}]}, ["p0"]),
        (
            {"prepare": [{"kind": "one_hot"}, {"kind": "clip", "low": 0, "columns": ["p0"]}]},
            ["name"],
        ),
    ],
)
def test_a_column_with_a_warning_is_no_feature_unless_it_is_named(
    data: dict[str, Any], columns: list[str]
) -> None:
    spec = job(data={"target": "label", **data})
    schema = DatasetSchema(rows=1797, columns=(*SCHEMA.columns[:65], SCHEMA.column("name")))
    with pytest.raises(InvalidError) as caught:
        check(spec, schema, 2**30, flagged("p0", "name", "label"))
    assert {error.path for error in caught.value.errors} == {"data.features"}
    named = [error.message.split("'")[1] for error in caught.value.errors]
    assert named == columns
    assert "is unusual. It is a feature only if you name it" in caught.value.detail


def test_a_named_column_with_a_warning_is_a_feature() -> None:
    check(job(), SCHEMA, 2**30, flagged("p0", "name"))
    only_digits = DatasetSchema(rows=1797, columns=SCHEMA.columns[:65])
    spec = job(data={"target": "label"})
    check(spec, only_digits, 2**30, flagged("p0", named_only=False))
    check(spec, only_digits, 2**30)


def test_a_default_that_is_filled_in_names_no_column() -> None:
    """Where the files of pictures are left out, other columns must be named all the same."""
    columns = (
        ColumnSchema(name="image", dtype="uint8", shape=(8, 8, 1)),
        ColumnSchema(name="file", dtype="string"),
        ColumnSchema(name="patient_id", dtype="int64"),
        SCHEMA.column("label"),
    )
    schema = DatasetSchema(rows=1797, columns=columns)
    warnings = flagged("file", "patient_id")
    with pytest.raises(InvalidError, match="'patient_id' is unusual"):
        admit(job(data={"target": "label"}), schema, 2**30, warnings)
    clipped = {"kind": "clip", "low": 0, "columns": ["patient_id"]}
    stored = admit(job(data={"target": "label", "prepare": [clipped]}), schema, 2**30, warnings)
    assert stored.data.features == ("image", "patient_id")
