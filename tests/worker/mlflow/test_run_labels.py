"""A run without a name says what was trained, and how well; runs are compared by one metric."""

from typing import Any

import pytest

from core.spec import JobSpec
from core.spec.job import DIGITS
from worker.mlflow.run_labels import main_metric, run_name

DENSE = [{"kind": "dense", "units": 64}, {"kind": "relu"}, {"kind": "dense", "units": 10}]
CONVOLUTION = [{"kind": "conv2d", "filters": 8, "kernel": 3}, {"kind": "flatten"}, *DENSE[:1]]
TABLE, TOP_3, F1 = {"kind": "confusion_matrix"}, {"kind": "top_k_accuracy", "k": 3}, {"kind": "f1"}
BEST = {"valid/loss": 0.2, "valid/accuracy": 0.97512, "valid/f1": 0.5, "valid/top_3_accuracy": 1}
ENDED = {"best": BEST, "best_epoch": 3, "best_metric": "valid/loss"}
STOPS_BY_F1 = {"metrics": [TOP_3, F1], "early_stopping": {"metric": "valid/f1"}}


def completed(**fields: Any) -> dict[str, Any]:
    return JobSpec.model_validate(DIGITS | fields).model_dump(mode="json")


@pytest.mark.parametrize(
    ("spec", "progress", "expected"),
    [
        (completed(), None, "64-relu-10"),
        (completed(), ENDED, "64-relu-10 valid/accuracy 0.975"),
        (completed(metrics=[TABLE, TOP_3]), ENDED, "64-relu-10 valid/top_3_accuracy 1"),
        (completed(**STOPS_BY_F1), {**ENDED, "best_metric": "valid/f1"}, "64-relu-10 valid/f1 0.5"),
        (completed(metrics=[]), ENDED, "64-relu-10 valid/loss 0.2"),
        ({"network": DENSE, "of": "a newer release"}, ENDED, "64-relu-10 valid/loss 0.2"),
        (completed(network=CONVOLUTION), {"epoch": 3}, "conv2d8-flatten-64"),
        (completed(network=DENSE * 4), None, "64-relu-10-64-...-10-64-relu-10"),
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
        ({"metrics": []}, "valid/loss"),
        ({"metrics": [F1, {"kind": "accuracy"}]}, "valid/f1"),
        ({"metrics": [TABLE, TOP_3]}, "valid/top_3_accuracy"),
        ({"data": {"target": "label", "split": {"train": 1}}}, "train/accuracy"),
        (
            {"data": {"target": "label", "split": {"fold": {"number": 0, "of": 5}}}},
            "valid/accuracy",
        ),
        (STOPS_BY_F1, "valid/f1"),
        ({"early_stopping": {"metric": "valid/loss"}, "metrics": [F1]}, "valid/f1"),
    ],
)
def test_the_main_metric_is_the_one_that_stops_or_the_first(
    fields: dict[str, Any], expected: str
) -> None:
    assert main_metric(completed(**fields)) == expected
