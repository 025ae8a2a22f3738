"""Learning rate, gradient norm and update ratio: against closed forms, and at which steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.events import StepEnded
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.training.loop import train
from core.training.update_metrics import UpdateMetrics
from tests.core.training.test_loop import LINE

NAMES = ("train/learning_rate", "train/gradient_norm", "train/update_ratio")


def measured(spec: dict[str, Any], table: Path, folder: Path) -> list[StepEnded]:
    """The events with metrics of single updates."""
    events = train(JobSpec.model_validate(spec), table, folder)
    return [e for e in events if isinstance(e, StepEnded) and "train/learning_rate" in e.metrics]


def test_norms_of_a_stack_are_those_of_each_network() -> None:
    weights = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    metrics = UpdateMetrics(np, weights, np.array([[6.0, 8.0], [0.0, 2.0]], np.float32))
    weights += np.array([[0.3, -0.4], [0.6, 0.8]], np.float32)
    values = metrics.after(np.array([[0.1], [0.2]]))
    assert values["learning_rate"].tolist() == [0.1, 0.2]
    assert values["gradient_norm"].tolist() == [10.0, 2.0]
    assert values["update_ratio"] == pytest.approx([0.1, 1.0])


def test_plain_descent_moves_by_rate_times_gradient(line: Path, tmp_path: Path) -> None:
    zero = {"kind": "dense", "units": 1, "weight_initializer": {"kind": "constant", "value": 0.5}}
    spec = {**LINE, "batch_size": "full", "epochs": 1, "network": [zero]}
    (event,) = measured(spec, line, tmp_path)
    rate, norm, ratio = (event.metrics[name] for name in NAMES)
    # Two weights of 0.5 and a bias of 0.
    assert rate == 0.1
    assert ratio == pytest.approx(rate * norm / np.sqrt(0.5), rel=1e-4)


def test_the_rate_is_the_schedules(digits: Path, tmp_path: Path) -> None:
    schedule = {"kind": "cosine"}
    events = measured({**DIGITS, "epochs": 4, "schedule": schedule}, digits, tmp_path)
    rates = [event.metrics["train/learning_rate"] for event in events]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] <= 0.001
    assert rates[-1] < 0.0002


def test_reports_and_some_ends_of_epochs_are_measured(digits: Path, tmp_path: Path) -> None:
    """An epoch has 45 updates; reports come every 50."""
    steps = [event.step for event in measured({**DIGITS, "epochs": 6}, digits, tmp_path)]
    assert steps == [45, 50, 90, 100, 135, 150, 180, 200, 225, 250, 270]


def test_short_epochs_are_measured_now_and_then(digits: Path, tmp_path: Path) -> None:
    """An epoch has 4 updates: the first end, then one after every 50 updates."""
    spec = {**DIGITS, "batch_size": 400, "epochs": 40}
    events = measured(spec, digits, tmp_path)
    assert [event.step for event in events] == [4, 50, 52, 100, 150, 152]
    assert "train/batch_loss" not in events[0].metrics
