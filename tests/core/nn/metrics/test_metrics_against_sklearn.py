"""Every metric against scikit-learn, with sample weights, over several batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

import core.nn.metrics  # noqa: F401
from core.family import members
from core.nn.metric import Metric, Tally

ROWS, CLASSES = 90, 5


def labels(y: Any) -> Any:
    return y.argmax(axis=-1)


def averaged(function: Any) -> Callable[..., Any]:
    return lambda m, y, t, w: function(
        t, labels(y), sample_weight=w, average=m.average, zero_division=0
    )


def curve(function: Any, **options: Any) -> Callable[..., Any]:
    def compare(m: Any, y: Any, t: Any, w: Any) -> Any:
        if y.shape[-1] == 2:
            return function(t, y[:, 1], sample_weight=w)
        return function(t, y, sample_weight=w, average=m.average, **options)

    return compare


BY_CLASS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "accuracy": lambda _, y, t, w: sk.accuracy_score(t, labels(y), sample_weight=w),
    "top_k_accuracy": lambda m, y, t, w: sk.top_k_accuracy_score(
        t, y, k=m.k, sample_weight=w, labels=np.arange(y.shape[-1])
    ),
    "balanced_accuracy": lambda _, y, t, w: sk.balanced_accuracy_score(
        t, labels(y), sample_weight=w
    ),
    "precision": averaged(sk.precision_score),
    "recall": averaged(sk.recall_score),
    "f1": averaged(sk.f1_score),
    "roc_auc": curve(sk.roc_auc_score, multi_class="ovr"),
    "pr_auc": curve(sk.average_precision_score),
    "log_loss": lambda _, y, t, w: sk.log_loss(t, y, sample_weight=w),
    "mcc": lambda _, y, t, w: sk.matthews_corrcoef(t, labels(y), sample_weight=w),
    "brier": lambda _, y, t, w: (
        sk.brier_score_loss(t, y, sample_weight=w)
        if y.shape[-1] > 2
        else sk.brier_score_loss(t, y[:, 1], sample_weight=w)
    ),
    "confusion_matrix": lambda _, y, t, w: sk.confusion_matrix(t, labels(y), sample_weight=w),
}
ONE = {"average": "binary", "zero_division": 0}
BY_OUTPUT: dict[str, Callable[[Any, Any, Any], Any]] = {
    "accuracy": lambda y, t, w: sk.accuracy_score(t, y > 0.5, sample_weight=w),
    "balanced_accuracy": lambda y, t, w: sk.balanced_accuracy_score(t, y > 0.5, sample_weight=w),
    "precision": lambda y, t, w: sk.precision_score(t, y > 0.5, sample_weight=w, **ONE),
    "recall": lambda y, t, w: sk.recall_score(t, y > 0.5, sample_weight=w, **ONE),
    "f1": lambda y, t, w: sk.f1_score(t, y > 0.5, sample_weight=w, **ONE),
    "roc_auc": lambda y, t, w: sk.roc_auc_score(t, y, sample_weight=w),
    "pr_auc": lambda y, t, w: sk.average_precision_score(t, y, sample_weight=w),
    "log_loss": lambda y, t, w: sk.log_loss(t, y, sample_weight=w),
    "mcc": lambda y, t, w: sk.matthews_corrcoef(t, y > 0.5, sample_weight=w),
    "brier": lambda y, t, w: sk.brier_score_loss(t, y, sample_weight=w),
    "confusion_matrix": lambda y, t, w: sk.confusion_matrix(t, y > 0.5, sample_weight=w),
}
OF_NUMBERS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "mse": lambda y, t, w: sk.mean_squared_error(t, y, sample_weight=w),
    "rmse": lambda y, t, w: sk.root_mean_squared_error(t, y, sample_weight=w),
    "mae": lambda y, t, w: sk.mean_absolute_error(t, y, sample_weight=w),
    "mape": lambda y, t, w: sk.mean_absolute_percentage_error(t, y, sample_weight=w),
    "r2": lambda y, t, w: sk.r2_score(t, y, sample_weight=w),
}


def measured(metric: Any, y: Any, t: Any, w: Any) -> Any:
    tally = Tally(metric, np, ())
    for rows in np.array_split(np.arange(len(y)), 4):
        tally.add(y[rows], t[rows], w[rows])
    return tally.result()


def test_every_metric_has_a_peer() -> None:
    assert set(BY_CLASS) | set(OF_NUMBERS) == set(members(Metric))
    assert set(BY_OUTPUT) == {k for k, m in members(Metric).items() if m.reads("binary")}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, CLASSES])
@pytest.mark.parametrize("kind", sorted(BY_CLASS))
def test_classes(kind: str, classes: int, weighted: bool) -> None:
    rng = np.random.default_rng(3)
    y = rng.dirichlet(np.ones(classes), size=ROWS)
    t = np.minimum(rng.geometric(0.4, size=ROWS) - 1, classes - 1)
    w = rng.uniform(0.1, 3, size=ROWS) if weighted else np.ones(ROWS)
    for metric, _ in members(Metric)[kind].examples():
        if kind == "top_k_accuracy" and metric.k >= classes:  # type: ignore[attr-defined]
            continue
        expected = BY_CLASS[kind](metric, y, t, w)
        np.testing.assert_allclose(measured(metric, y, t, w), expected, rtol=1e-9)


@pytest.mark.parametrize("kind", sorted(BY_OUTPUT))
def test_booleans_with_ties(kind: str) -> None:
    rng = np.random.default_rng(4)
    y, t = np.round(rng.uniform(0.02, 0.98, size=ROWS), 1), rng.integers(2, size=ROWS)
    w = rng.uniform(0.1, 3, size=ROWS)
    y = np.clip(y, 0.05, 0.95)
    metric, _ = next(iter(members(Metric)[kind].examples()))
    found = measured(metric, y[:, None], t[:, None], w)
    np.testing.assert_allclose(found, BY_OUTPUT[kind](y, t, w), rtol=1e-9)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("kind", sorted(OF_NUMBERS))
def test_numbers(kind: str, outputs: int) -> None:
    rng = np.random.default_rng(5)
    t = rng.normal(2, 1, size=(ROWS, outputs))
    y, w = t + rng.normal(size=t.shape), rng.uniform(0.1, 3, size=ROWS)
    metric, _ = next(iter(members(Metric)[kind].examples()))
    np.testing.assert_allclose(measured(metric, y, t, w), OF_NUMBERS[kind](y, t, w), rtol=1e-9)
