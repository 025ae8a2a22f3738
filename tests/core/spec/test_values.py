"""What columns hold is looked at before anything is queued: what, where, what to do."""

from typing import Any

import pytest

from core.data.table.schema import ColumnSchema, DatasetSchema
from core.errors import InvalidError
from core.spec import JobSpec
from core.spec.admission import check

SCHEMA = DatasetSchema(
    rows=100,
    columns=(
        ColumnSchema(name="a", dtype="float64", minimum=-2, maximum=2),
        ColumnSchema(name="ids", dtype="int64", minimum=0, maximum=4),
        ColumnSchema(name="years", dtype="int64", minimum=1990, maximum=2020),
        ColumnSchema(name="minus", dtype="int64", minimum=-3, maximum=-1),
        ColumnSchema(name="zero", dtype="float64", minimum=0, maximum=0),
        ColumnSchema(name="text", dtype="string", classes=("a", "b", "c")),
        ColumnSchema(name="sex", dtype="string", classes=("f", "m")),
        ColumnSchema(name="same", dtype="string", classes=("f",)),
        ColumnSchema(name="image", dtype="float32", shape=(4, 6, 1), minimum=0, maximum=0.9),
        ColumnSchema(name="mask", dtype="uint8", shape=(4, 6), minimum=0, maximum=1),
    ),
)


def dense(units: int) -> dict[str, Any]:
    return {"kind": "dense", "units": units}


def embedded(vocabulary: int) -> list[dict[str, Any]]:
    layer = {"kind": "embedding", "vocabulary": vocabulary, "units": 2}
    return [layer, {"kind": "flatten"}, dense(1)]


BASE: dict[str, Any] = {
    "experiment": "e",
    "dataset": "d@1",
    "data": {"target": "a", "features": ["ids"]},
    "network": [dense(1)],
    "loss": {"kind": "mean_squared_error"},
}


def data(target: Any, **more: Any) -> dict[str, Any]:
    return {"target": target, "features": ["years" if target == "a" else "a"], **more}


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "ids that were standardized": (
        {"network": embedded(5)},
        "data.standardize",
        r"must be false, because network\[0\] \(embedding\)",
    ),
    "ids beyond the vocabulary": (
        {"network": embedded(3), "data": {**BASE["data"], "standardize": False}},
        "network[0].vocabulary",
        r"0 to 4; .* ids from 0 to 2: set vocabulary to 5",
    ),
    "ids below zero": (
        {
            "network": embedded(3),
            "data": {"target": "a", "features": ["minus"], "standardize": False},
        },
        "network[0].vocabulary",
        "-3 to -1.*renumber",
    ),
    "weights of nothing": ({"data": data("a", sample_weight="zero")}, "data.sample_weight", "only"),
    "negative weights": ({"data": data("a", sample_weight="minus")}, "data.sample_weight", "below"),
    "weights of text": ({"data": data("a", sample_weight="text")}, "data.sample_weight", "one num"),
    "weights of images": (
        {"data": data("a", sample_weight="image")},
        "data.sample_weight",
        "one number",
    ),
    "negative counts": (
        {"data": data("minus"), "loss": {"kind": "poisson"}},
        "data.target",
        "'minus' holds -3; poisson needs counts",
    ),
    "negative shares": (
        {"data": data(["ids", "minus"]), "loss": {"kind": "kl_divergence"}, "network": [dense(2)]},
        "data.target",
        "'minus' holds -3; kl_divergence needs probabilities",
    ),
    "switches that are none": (
        {
            "data": data("image"),
            "loss": {"kind": "binary_cross_entropy"},
            "network": [dense(24)],
        },
        "data.target",
        "0 to 0.9; binary_cross_entropy needs zeros and ones",
    ),
    "three values where two are needed": (
        {"data": data("text"), "loss": {"kind": "binary_cross_entropy"}},
        "data.target",
        "3 distinct values; binary_cross_entropy needs two",
    ),
    "fractions as classes": (
        {"data": data("a"), "loss": {"kind": "cross_entropy"}, "network": [dense(2)]},
        "data.target",
        "with fractions .*: classes are integers or text",
    ),
    "fractions as yes and no": (
        {"data": data("a"), "loss": {"kind": "binary_cross_entropy"}},
        "data.target",
        "classes are integers or text; binary_cross_entropy needs two",
    ),
    "a target named twice": (
        {"data": data(["ids", "ids"]), "network": [dense(2)]},
        "data.target",
        "listed twice",
    ),
    "several classes for a loss of one": (
        {"data": data(["text", "sex"]), "loss": {"kind": "cross_entropy"}, "network": [dense(5)]},
        "data.target",
        "grouped_cross_entropy takes several",
    ),
    "groups that are not the targets'": (
        {
            "data": data(["text", "sex"]),
            "loss": {"kind": "grouped_cross_entropy", "groups": [2, 3]},
            "network": [dense(5)],
        },
        "loss.groups",
        r"got \[2, 3\], but the targets have \[3, 2\]",
    ),
    "a class of which there is one": (
        {
            "data": data(["text", "same"]),
            "loss": {"kind": "grouped_cross_entropy", "groups": [3, 2]},
            "network": [dense(4)],
        },
        "data.target",
        "'same' has one distinct value",
    ),
    "an image where a number is needed": (
        {
            "data": {"target": "a", "features": ["image"]},
            "network": [{"kind": "conv2d", "filters": 2, "kernel": 3}, dense(1)],
        },
        "network[1].units",
        r"8 outputs of shape \(2, 4, 1\).*'a' needs 1.*flatten",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_work_is_named_with_its_remedy(name: str) -> None:
    changes, path, message = WRONG[name]
    with pytest.raises(InvalidError, match=message) as caught:
        check(JobSpec.model_validate({**BASE, **changes}), SCHEMA, 2**30)
    assert path in [error.path for error in caught.value.errors]


def test_weights_over_the_limit_name_the_largest_layer() -> None:
    spec = JobSpec.model_validate({**BASE, "network": [dense(50), dense(100), dense(1)]})
    with pytest.raises(InvalidError, match=r"limit is 1,000 bytes: make network\[1\] \(dense\)"):
        check(spec, SCHEMA, 1000)


RIGHT: dict[str, dict[str, Any]] = {
    "ids": {"network": embedded(5), "data": {**BASE["data"], "standardize": False}},
    "an image of switches": {
        "data": data("mask"),
        "loss": {"kind": "binary_cross_entropy"},
        "network": [dense(24)],
    },
    "an image": {"data": data("image"), "network": [dense(24)]},
    "several classes": {
        "data": data(["text", "sex"]),
        "loss": {"kind": "grouped_cross_entropy", "groups": [3, 2]},
        "network": [dense(5)],
        "metrics": [{"kind": "f1"}],
    },
    "weights": {"data": data("a", sample_weight="ids")},
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_works_is_admitted(name: str) -> None:
    check(JobSpec.model_validate({**BASE, **RIGHT[name]}), SCHEMA, 2**30)
