"""Specs as flat hyperparameters."""

from core.spec import JobSpec
from core.spec.job import DIGITS
from core.tracking import flatten


def test_names_are_paths() -> None:
    params = flatten(JobSpec.model_validate(DIGITS).model_dump(mode="json"))
    assert params["network.0.kind"] == "dense"
    assert params["network.0.units"] == "64"
    assert params["optimizer.learning_rate"] == "0.001"
    assert params["data.split.train"] == "0.8"
    assert params["metrics.0.kind"] == "accuracy"


def test_null_and_empty_values_are_left_out_and_lists_of_values_stay_one() -> None:
    document = {"a": None, "b": [], "c": [1, 2], "d": {"e": True}, "f": "", "g": "text"}
    assert flatten(document) == {"c": "[1, 2]", "d.e": "true", "g": "text"}


def test_long_values_are_cut() -> None:
    assert len(flatten({"features": "x" * 10_000})["features"]) == 6000
