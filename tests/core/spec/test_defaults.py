"""Defaults that depend on the rest of a job: set for new jobs, never for stored ones."""

from typing import Any

import pytest

from core.data.table.schema import DatasetSchema
from core.family import members
from core.nn.layer import Layer
from core.spec import JobSpec
from core.spec.defaults import filled, standardizes_target
from core.spec.job import DIGITS
from core.spec.version import completed, encode

NUMBERS: dict[str, Any] = {
    **DIGITS,
    "loss": {"kind": "mean_squared_error"},
    "network": [{"kind": "dense", "units": 1}],
    "metrics": [],
}


def spec_of(**changes: Any) -> JobSpec:
    return JobSpec.model_validate({**NUMBERS, **changes})


def schema_of(*columns: dict[str, Any]) -> DatasetSchema:
    return DatasetSchema.model_validate({"rows": 100, "columns": columns})


def filled_in(spec: JobSpec) -> JobSpec:
    return filled(spec, schema_of())


@pytest.mark.parametrize(
    ("changes", "standardized"),
    [
        ({}, True),
        ({"loss": {"kind": "huber"}}, True),
        ({"loss": {"kind": "poisson"}}, False),
        ({"loss": {"kind": "cross_entropy"}}, False),
        ({"loss": {"kind": "binary_cross_entropy"}}, False),
        ({"loss": {"kind": "kl_divergence"}}, False),
        ({"network": [{"kind": "dense", "units": 1}, {"kind": "relu"}]}, False),
        ({"network": [{"kind": "dense", "units": 1}, {"kind": "sigmoid"}]}, False),
        ({"network": [{"kind": "lstm", "units": 1}]}, False),
        ({"network": [{"kind": "flatten"}]}, False),
        ({"network": [{"kind": "dense", "units": 4}, {"kind": "reshape", "shape": [2, 2]}]}, True),
        ({"network": [{"kind": "conv2d", "filters": 3, "kernel": 3},
                      {"kind": "global_average_pool"}]}, True),
        ({"data": {"target": "y", "standardize_target": False}}, False),
    ],
)  # fmt: skip
def test_number_targets_are_standardized_by_default_where_outputs_are_unlimited(
    changes: dict[str, Any], standardized: bool
) -> None:
    spec = spec_of(**changes)
    assert standardizes_target(filled_in(spec)) is standardized
    assert not standardizes_target(spec)
    assert filled_in(filled_in(spec)) == filled_in(spec)


def test_only_layers_without_an_activation_reach_any_number() -> None:
    layers: dict[str, Any] = members(Layer)
    by_reach = {
        reach: {kind for kind, layer in layers.items() if layer.reach == reach}
        for reach in ("any", "input")
    }
    assert by_reach == {
        "any": {"conv1d", "conv2d", "dense"},
        "input": {
            "average_pool1d", "average_pool2d", "dropout", "flatten", "global_average_pool",
            "global_max_pool", "identity", "max_pool1d", "max_pool2d", "reshape",
        },
    }  # fmt: skip


def test_a_stored_job_keeps_what_its_release_did() -> None:
    before = spec_of()
    document, version = encode(before)
    assert (version, "standardize_target" in document["data"]) == (1, False)
    assert JobSpec.model_validate(document).data.standardize_target is False
    # What is read of it can be submitted again, and stays what it was.
    again = filled_in(JobSpec.model_validate(completed(JobSpec, document)))
    assert encode(again) == (document, 1)


def test_a_new_regression_needs_a_worker_that_knows_the_field() -> None:
    document, version = encode(filled_in(spec_of()))
    assert (version, document["data"]["standardize_target"]) == (2, True)
    classes = filled_in(JobSpec.model_validate(DIGITS))
    assert encode(classes).version == 1


PIXELS = {"name": "image", "dtype": "uint8", "shape": [8, 8, 1]}
FILE = {"name": "file", "dtype": "string"}
LABEL = {"name": "label", "dtype": "string", "classes": ["cat", "dog"]}
SCAN = {"name": "scan", "dtype": "uint8", "shape": [8, 8, 1]}
AGE = {"name": "age", "dtype": "float64"}
HASHED = {"kind": "hashing", "columns": ["file"]}


@pytest.mark.parametrize(
    ("columns", "data", "features"),
    [
        ([PIXELS, LABEL, FILE], {}, ("image",)),
        ([PIXELS, LABEL, FILE, AGE], {"sample_weight": "age"}, ("image",)),
        ([PIXELS, LABEL, FILE], {"features": ["image", "file"]}, ("image", "file")),
        ([PIXELS, LABEL, FILE], {"prepare": [HASHED]}, None),
        # Only the column that the server added: any other text is a column of the data.
        ([SCAN, LABEL, FILE], {}, None),
        ([{**PIXELS, "shape": []}, LABEL, FILE], {}, None),
        ([PIXELS, LABEL, {**FILE, "dtype": "float64"}], {}, None),
        ([PIXELS, LABEL], {}, None),
        ([PIXELS, FILE], {"target": "file"}, None),
    ],
)
def test_the_files_of_pictures_are_no_feature_by_default(
    columns: list[dict[str, Any]], data: dict[str, Any], features: tuple[str, ...] | None
) -> None:
    spec = JobSpec.model_validate({**DIGITS, "data": {"target": "label", **data}})
    assert filled(spec, schema_of(*columns)).data.features == features


def test_a_spec_that_cannot_be_read_is_shown_as_it_is_stored() -> None:
    assert completed(JobSpec, {"warp": 9}) == {"warp": 9}
