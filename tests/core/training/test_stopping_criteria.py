"""Which epoch is best, and when training stops, judged from metrics alone."""

import math
from typing import Any

import pytest

from core.spec import JobSpec
from core.spec.job import DIGITS
from core.training.stopping_criteria import StoppingCriteria

STOP = {"metric": "valid/accuracy", "patience": 2}


def judge(**stop: Any) -> StoppingCriteria:
    return StoppingCriteria(JobSpec.model_validate({**DIGITS, "early_stopping": {**STOP, **stop}}))


def judged(one: StoppingCriteria, values: list[float]) -> list[str | None]:
    """What is said after each epoch."""
    said, stop = [], one.spec.early_stopping
    assert stop is not None
    for epoch, value in enumerate(values, 1):
        metrics = {stop.metric: value, "train/loss": 1.0}
        one.epoch_ended(epoch, metrics)
        said.append(one.after_epoch(epoch, metrics))
    return said


@pytest.mark.parametrize(
    ("metric", "values"),
    [("valid/accuracy", [math.nan, 0.2, 0.5, 0.4]), ("valid/loss", [math.nan, 0.9, 0.3, 0.4])],
)
def test_a_number_is_better_than_nan(metric: str, values: list[float]) -> None:
    one = judge(metric=metric)
    assert judged(one, values) == [None] * 4
    assert (one.best, one.best_epoch, one.stale) == (values[2], 3, 1)


def test_nan_is_no_better_than_a_number_or_nan() -> None:
    one = judge()
    assert judged(one, [0.5, math.nan, math.nan])[-1] == "patience"
    assert one.best_epoch == 1
    assert judged(judge(), [math.nan] * 3)[-1] == "patience"


def test_a_tolerance_keeps_small_gains_from_counting() -> None:
    one = judge(tolerance=0.1)
    assert judged(one, [math.nan, 0.5, 0.55, 0.59]) == [None, None, None, "patience"]
    assert (one.best, one.best_epoch) == (0.5, 2)


@pytest.mark.parametrize(
    ("stop", "reported", "metric"),
    [
        (None, ["train/loss", "valid/loss"], "valid/loss"),
        (None, ["train/loss"], "train/loss"),
        (STOP, ["train/loss", "valid/loss", "valid/accuracy"], "valid/accuracy"),
        (STOP, ["train/loss", "train/accuracy"], "train/loss"),
    ],
)
def test_the_summary_names_the_metric_that_decided(
    stop: Any, reported: list[str], metric: str
) -> None:
    one = StoppingCriteria(JobSpec.model_validate({**DIGITS, "early_stopping": stop}))
    metrics = dict.fromkeys(reported, 0.5)
    one.epoch_ended(1, metrics)
    one.epoch_ended(2, metrics)
    assert one.summary() == {"best_epoch": 1, "best_metric": metric, "best_metrics": metrics}
