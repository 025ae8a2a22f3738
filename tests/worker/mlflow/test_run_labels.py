"""A run without a name says what was trained, and how well; runs are compared by one metric."""

from typing import Any

import pytest

from worker.mlflow.run_labels import main_metric, run_name

DENSE = [{"kind": "dense", "units": 64}, {"kind": "relu"}, {"kind": "dense", "units": 10}]
CONVOLUTION = [{"kind": "conv2d", "filters": 8}, {"kind": "flatten"}, *DENSE[:1]]
BEST = {"train/loss": 0.1, "valid/loss": 0.2, "valid/accuracy": 0.97512, "valid/f1": 0.5}
ENDED = {"best": BEST, "best_epoch": 3, "best_metric": "valid/loss"}
SPEC = {"network": DENSE, "metrics": [{"kind": "accuracy"}, {"kind": "f1"}]}


@pytest.mark.parametrize(
    ("spec", "progress", "expected"),
    [
        (SPEC, None, "64-relu-10"),
        (SPEC, ENDED, "64-relu-10 valid/accuracy 0.975"),
        (SPEC, {**ENDED, "best_metric": "valid/f1"}, "64-relu-10 valid/f1 0.5"),
        ({"network": DENSE}, ENDED, "64-relu-10 valid/loss 0.2"),
        ({"network": CONVOLUTION}, {"epoch": 3}, "conv2d8-flatten-64"),
        ({"network": DENSE * 4}, None, "64-relu-10-64-...-10-64-relu-10"),
        ({}, None, ""),
    ],
)
def test_the_name_has_dataset_network_and_best_metric(
    spec: dict[str, Any], progress: dict[str, Any] | None, expected: str
) -> None:
    assert run_name(spec, "digits@1", progress) == f"digits@1 {expected}".strip()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "valid/loss"),
        ({"metrics": [{"kind": "f1"}, {"kind": "accuracy"}]}, "valid/f1"),
        ({"metrics": [{"kind": "f1"}], "data": {"split": {"valid": 0}}}, "train/f1"),
        ({"early_stopping": {"metric": "valid/r2"}}, "valid/r2"),
        ({"early_stopping": {"metric": "valid/loss"}, "metrics": [{"kind": "f1"}]}, "valid/f1"),
    ],
)
def test_the_main_metric_is_the_one_that_stops_or_the_first(
    fields: dict[str, Any], expected: str
) -> None:
    spec = {"metrics": [], "early_stopping": None, "data": {"split": {"valid": 0.1}}, **fields}
    assert main_metric(spec) == expected
