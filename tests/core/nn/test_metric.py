"""Every metric: exact over batches, weights, stacks, and what it says of known cases."""

import itertools
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

import core.nn.metrics  # noqa: F401
from core.family import members
from core.nn.metric import Metric, Tally
from core.nn.metrics.accuracy import Accuracy
from core.nn.metrics.balanced_accuracy import BalancedAccuracy
from core.nn.metrics.confusion_matrix import ConfusionMatrix
from core.nn.metrics.f1 import F1
from core.nn.metrics.log_loss import LogLoss
from core.nn.metrics.mcc import Mcc
from core.nn.metrics.mse import Mse
from core.nn.metrics.r2 import R2
from core.nn.metrics.roc_auc import RocAuc
from core.nn.metrics.top_k_accuracy import TopKAccuracy

ROWS = 60


def cases() -> list[tuple[Any, str, Any]]:
    found = []
    for one in members(Metric).values():
        for metric, shape in one.examples():
            kinds = ["class", "binary", "number"]
            found += [(metric, kind, shape) for kind in kinds if metric.reads(kind)]
            if metric.reads("binary"):
                found.append((metric, "binary", (1,)))
    return found


def name(case: Any) -> str:
    metric, kind, shape = case
    return f"{metric.kind}-{[getattr(metric, f.name) for f in fields(metric)][1:]}-{kind}-{shape}"


every_case = pytest.mark.parametrize(("metric", "kind", "shape"), cases(), ids=map(name, cases()))


def data(kind: str, shape: Any, lead: Any = (ROWS,), seed: int = 0) -> tuple[Any, Any, Any]:
    """Outputs with ties, targets, and small whole weights."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 4, size=lead).astype("float32")
    if kind == "class":
        outputs = np.round(rng.dirichlet(np.ones(shape[-1]), size=lead), 1)
        return outputs.astype("float32"), rng.integers(shape[-1], size=lead), weight
    if kind == "binary":
        outputs = np.round(rng.uniform(size=(*lead, *shape)), 1)
        bits = rng.integers(2, size=(*lead, *shape))
        return outputs.astype("float32"), bits.astype("float32"), weight
    target = rng.normal(3, 1, size=(*lead, *shape))
    outputs = target + rng.normal(0, 0.5, size=target.shape)
    return outputs.astype("float32"), target.astype("float32"), weight


def measure(
    metric: Any, outputs: Any, target: Any, weight: Any, cuts: Any = (), axis: int = 0
) -> Any:
    """The result after the batches between `cuts`."""
    tally = Tally(metric, np, outputs.shape[:axis])
    bounds = [0, *cuts, outputs.shape[axis]]
    for start, stop in itertools.pairwise(bounds):
        rows = (*(slice(None),) * axis, slice(start, stop))
        tally.add(outputs[rows], target[rows], weight[rows])
    return tally.result()


@every_case
def test_batches_do_not_change_the_result(metric: Any, kind: str, shape: Any) -> None:
    batch = data(kind, shape)
    kept = [array.copy() for array in batch]
    whole = measure(metric, *batch)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(measure(metric, *batch, (1, 20, 59)), whole, rtol=1e-12)
    for before, after in zip(kept, batch, strict=True):
        np.testing.assert_array_equal(before, after)


@every_case
def test_a_sample_of_weight_two_is_the_sample_twice(metric: Any, kind: str, shape: Any) -> None:
    outputs, target, weight = data(kind, shape)
    rows = np.repeat(np.arange(ROWS), weight.astype(int))
    again = measure(metric, outputs[rows], target[rows], np.ones(len(rows), "float32"))
    np.testing.assert_allclose(measure(metric, outputs, target, weight), again, rtol=1e-12)


@every_case
def test_a_stack_gives_each_network_what_it_gets_alone(metric: Any, kind: str, shape: Any) -> None:
    outputs, target, weight = data(kind, shape, (3, ROWS))
    together = measure(metric, outputs, target, weight, (7,), axis=1)
    assert together.shape[0] == 3
    for row in range(3):
        alone = measure(metric, outputs[row], target[row], weight[row], (7,))
        np.testing.assert_array_equal(together[row], alone)


@every_case
def test_perfect_outputs_are_best(metric: Any, kind: str, shape: Any) -> None:
    outputs, target, weight = data(kind, shape)
    perfect = np.eye(shape[-1])[target] if kind == "class" else target
    ours = measure(metric, outputs, target, weight)
    best = measure(metric, perfect.astype("float32"), target, weight)
    if metric.kind == "confusion_matrix":
        total = weight.sum() * (1 if kind == "class" else shape[-1])
        assert np.trace(best, axis1=-2, axis2=-1).sum() == total
        assert ours.sum() == total
    elif metric.better == "higher":
        assert ours < best == 1
    else:
        assert ours > best
        np.testing.assert_allclose(best, 0, atol=1e-12)


@every_case
def test_weights_of_nothing_give_a_number(metric: Any, kind: str, shape: Any) -> None:
    outputs, target, weight = data(kind, shape)
    assert np.isfinite(measure(metric, outputs, target, 0 * weight)).all()


def test_names_tell_variants_apart() -> None:
    found = [metric.name for one in members(Metric).values() for metric, _ in one.examples()]
    assert {"f1", "f1_micro", "top_2_accuracy", "roc_auc_weighted", "mse"} <= set(found)


def test_what_reads_what() -> None:
    assert Accuracy.reads("class")
    assert Accuracy.reads("binary")
    assert not Accuracy.reads("number")
    assert Mse.reads("number")
    assert not Mse.reads("class")
    assert not TopKAccuracy.reads("binary")


def test_a_table_is_many_numbers_a_metric_one() -> None:
    outputs = np.eye(2, dtype="float32")[[0, 1, 1, 1]]
    tally = Tally(ConfusionMatrix(), np, ())
    tally.add(outputs, np.array([0, 0, 1, 1]), np.ones(4))
    assert tally.numbers() == {
        "confusion_matrix/0/0": 1,
        "confusion_matrix/0/1": 1,
        "confusion_matrix/1/0": 0,
        "confusion_matrix/1/1": 2,
    }
    stacked = Tally(ConfusionMatrix(), np, (1,))
    stacked.add(outputs[None], np.array([[0, 0, 1, 1]]), np.ones((1, 4)))
    assert {n: v.tolist() for n, v in stacked.numbers().items()}["confusion_matrix/0/1"] == [1]
    single = Tally(Accuracy(), np, ())
    single.add(outputs, np.array([0, 0, 1, 1]), np.ones(4))
    assert single.numbers() == {"accuracy": 0.75}


def test_a_single_output_has_a_two_by_two_table() -> None:
    outputs, target = np.array([[0.9], [0.2], [0.7]]), np.array([[1.0], [1.0], [0.0]])
    table = measure(ConfusionMatrix(), outputs, target, np.ones(3))
    assert table.tolist() == [[0, 1], [1, 1]]


def test_guessing_differs_from_knowing() -> None:
    target = np.array([[0.0], [1.0]] * 10)
    flat = np.full((20, 1), 0.5)
    assert measure(RocAuc(), flat, target, np.ones(20)) == 0.5
    assert measure(Mcc(), flat, target, np.ones(20)) == 0
    assert measure(F1(), flat, target, np.ones(20)) == 0
    np.testing.assert_allclose(measure(LogLoss(), flat, target, np.ones(20)), np.log(2))
    uniform = np.full((6, 3), 1 / 3)
    classes = np.array([0, 1, 2] * 2)
    np.testing.assert_allclose(measure(TopKAccuracy(k=1), uniform, classes, np.ones(6)), 1 / 3)


def test_variance_is_found_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    target = 1e9 + rng.normal(size=(500, 1))
    outputs = target + 0.1 * rng.normal(size=(500, 1))
    expected = 1 - ((outputs - target) ** 2).sum() / ((target - target.mean()) ** 2).sum()
    found = measure(R2(), outputs, target, np.ones(500), (100, 333))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    still = np.ones((4, 1))
    assert measure(R2(), still, still, np.ones(4)) == 1
    assert measure(R2(), 2 * still, still, np.ones(4)) == 0


def test_a_tally_goes_on_where_it_was_saved() -> None:
    outputs, target, weight = data("class", (4,))
    first, second = Tally(RocAuc(), np, ()), Tally(RocAuc(), np, ())
    first.add(outputs[:30], target[:30], weight[:30])
    second.restore(first.state())
    second.add(outputs[30:], target[30:], weight[30:])
    assert second.result() == measure(RocAuc(), outputs, target, weight)


@pytest.mark.parametrize(
    "wrong", [{"kind": "top_k_accuracy", "k": 0}, {"kind": "f1", "average": "mean"}]
)
def test_what_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Metric).validate_python(wrong)


@pytest.mark.parametrize("kind", ["roc_auc", "pr_auc"])
@pytest.mark.parametrize("seed", range(11))
def test_curves_leave_out_a_label_that_all_samples_have(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs, weight = rng.uniform(size=(ROWS, 2)), rng.uniform(0.1, 2, ROWS)
    target = np.stack([rng.integers(2, size=ROWS), np.ones(ROWS)], axis=1)
    metric = members(Metric)[kind]()
    both = measure(metric, outputs, target, weight)
    assert both == measure(metric, outputs[:, :1], target[:, :1], weight)
    assert both > 0.2


@pytest.mark.parametrize("seed", range(11))
def test_balanced_accuracy_leaves_out_a_label_that_no_sample_has(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs, weight = rng.uniform(size=(ROWS, 3)), rng.uniform(0.1, 2, ROWS)
    found = measure(BalancedAccuracy(), outputs, np.ones((ROWS, 3)), weight, (7, 30))
    recall = (weight[:, None] * (outputs > 0.5)).sum(axis=0) / weight.sum()
    assert found == pytest.approx(recall.mean())
