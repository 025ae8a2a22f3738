"""Every loss: gradients by finite differences, weights, stacks, precision, extremes."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

import core.nn.losses  # noqa: F401
from core.family import members
from core.nn.layer import Scope, ShapeError
from core.nn.loss import Loss
from core.nn.losses.binary_cross_entropy import BinaryCrossEntropy
from core.nn.losses.binary_focal import BinaryFocal
from core.nn.losses.categorical_cross_entropy import CategoricalCrossEntropy
from core.nn.losses.cross_entropy import CrossEntropy
from core.nn.losses.focal import Focal
from core.nn.losses.half_squared_error import HalfSquaredError
from core.nn.losses.mean_squared_error import MeanSquaredError
from core.nn.losses.sum_of_squares import SumOfSquares

CASES = [case for one in members(Loss).values() for case in one.examples()]
BATCH = 5


def name(case: Any) -> str:
    loss, shape = case
    return f"{loss.kind}-{shape}-{[getattr(loss, f.name) for f in fields(loss)][1:]}"


every_case = pytest.mark.parametrize(("loss", "shape"), CASES, ids=map(name, CASES))


def scope_for(shape: Any, stack: Any = (), dtype: Any = "float64") -> Scope:
    return Scope(np, np.dtype(dtype), stack, shape)


def one_hot_groups(loss: Any, rng: Any, lead: Any) -> Any:
    rows = [np.eye(size)[rng.integers(size, size=lead)] for size in loss.groups]
    return np.concatenate(rows, axis=-1)


def data(loss: Any, lead: Any, shape: Any, dtype: Any = "float64", seed: int = 0) -> Any:
    """Outputs, targets and sample weights for samples of axes `lead`."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(*lead, *shape))
    if loss.target == "class":
        target = rng.integers(shape[-1], size=lead)
    elif loss.target == "binary":
        target = rng.integers(2, size=(*lead, *shape)).astype(dtype)
    elif loss.target == "classes":
        target = one_hot_groups(loss, rng, lead).astype(dtype)
    elif loss.target == "distribution":
        target = rng.dirichlet(np.ones(shape[-1]), size=lead)
        target[..., 0, :] = np.eye(shape[-1])[1]
        target = target.astype(dtype)
    else:
        target = rng.normal(size=(*lead, *shape)).astype(dtype)
    return y.astype(dtype), target, rng.uniform(0.2, 2.0, size=lead).astype(dtype)


@pytest.mark.parametrize("weighted", [False, True])
@every_case
def test_the_gradient_is_that_of_the_loss(loss: Any, shape: Any, weighted: bool) -> None:
    y, target, weight = data(loss, (BATCH,), shape)
    scope, weights = scope_for(shape), weight if weighted else None
    dy = loss.forward(y, target, scope, weights)[1].copy()
    assert dy.shape == y.shape
    step, numeric = 1e-5, np.empty_like(y)
    for place in np.ndindex(y.shape):
        up, down = y.copy(), y.copy()
        up[place] += step
        down[place] -= step
        high = loss.forward(up, target, scope, weights)[0]
        low = loss.forward(down, target, scope, weights)[0]
        numeric[place] = (high - low) / (2 * step)
    assert np.abs(dy - numeric).max() < 1e-6 * np.abs(numeric).max()


@every_case
def test_a_sample_of_weight_two_is_the_sample_twice(loss: Any, shape: Any) -> None:
    y, target, _ = data(loss, (BATCH,), shape)
    counts = np.array([1, 2, 0, 3, 1])
    value, dy = loss.forward(y, target, scope_for(shape), counts.astype(float))
    rows = np.repeat(np.arange(BATCH), counts)
    again, dy_rows = loss.forward(y[rows], target[rows], scope_for(shape))
    np.testing.assert_allclose(value, again, rtol=1e-12)
    together = np.zeros_like(y)
    np.add.at(together, rows, dy_rows)
    np.testing.assert_allclose(dy, together, rtol=1e-12, atol=1e-15)
    ones = loss.forward(y, target, scope_for(shape), np.ones(BATCH))
    np.testing.assert_allclose(ones[0], loss.forward(y, target, scope_for(shape))[0], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@every_case
def test_a_stack_gives_each_network_what_it_gets_alone(
    loss: Any, shape: Any, weighted: bool, dtype: str
) -> None:
    k = 3
    floats = [f.name for f in fields(loss) if isinstance(getattr(loss, f.name), float)]
    solos = [
        replace(loss, **{n: getattr(loss, n) * (0.7 + 0.1 * row) for n in floats})
        for row in range(k)
    ]
    together = replace(
        loss, **{n: np.array([[getattr(solo, n)] for solo in solos]) for n in floats}
    )
    y, target, weight = data(loss, (k, BATCH), shape, dtype)
    kept = [a.copy() for a in (y, target, weight)]
    value, dy = together.forward(
        y, target, scope_for(shape, (k,), dtype), weight if weighted else None
    )
    assert value.shape == (k,)
    assert value.dtype == dy.dtype == dtype
    for row, solo in enumerate(solos):
        alone, dy_alone = solo.forward(
            y[row], target[row], scope_for(shape, (), dtype), weight[row] if weighted else None
        )
        assert alone.dtype == dtype
        assert np.shape(alone) == ()
        np.testing.assert_array_equal(value[row], alone)
        np.testing.assert_array_equal(dy[row], dy_alone)
    for before, after in zip(kept, (y, target, weight), strict=True):
        np.testing.assert_array_equal(before, after)


@every_case
def test_float64_weights_do_not_change_the_precision(loss: Any, shape: Any) -> None:
    y, target, weight = data(loss, (BATCH,), shape, "float32")
    value, dy = loss.forward(y, target, scope_for(shape, (), "float32"), weight.astype("f8"))
    assert value.dtype == dy.dtype == np.float32


@every_case
def test_a_batch_that_weighs_nothing_pulls_nowhere(loss: Any, shape: Any) -> None:
    y, target, _ = data(loss, (BATCH,), shape)
    value, dy = loss.forward(y, target, scope_for(shape), np.zeros(BATCH))
    assert value == 0
    assert not dy.any()


@every_case
def test_far_outputs_stay_finite(loss: Any, shape: Any) -> None:
    y, target, weight = data(loss, (BATCH,), shape, "float32")
    far = y * np.float32(20.0 if loss.kind == "poisson" else 1e4)
    value, dy = loss.forward(far, target, scope_for(shape, (), "float32"), weight)
    assert np.isfinite(value)
    assert np.isfinite(dy).all()
    prediction = loss.prediction(far, scope_for(shape, (), "float32"))
    assert np.isfinite(prediction).all()
    assert prediction.dtype == np.float32
    if loss.target == "number":
        return
    assert ((prediction >= 0) & (prediction <= 1)).all()
    if loss.target != "binary":
        targets = len(loss.groups) if loss.target == "classes" else 1
        np.testing.assert_allclose(prediction.sum(axis=-1), targets, rtol=1e-6)


@every_case
def test_a_member_survives_validation(loss: Any, shape: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Loss)
    assert adapter.validate_json(adapter.dump_json(loss)) == loss
    loss.check(shape)


def test_worked_numbers() -> None:
    """Outputs 0.735 and 0.455 against 0.5 each: 0.0276 and 0.0010, together 0.0286."""
    y, target = np.array([[0.735, 0.455]]), np.array([[0.5, 0.5]])
    scope = scope_for((2,))
    value, dy = HalfSquaredError().forward(y, target, scope)
    assert round(float(value), 4) == 0.0286
    np.testing.assert_allclose(dy, [[0.235, -0.045]])
    value, dy = SumOfSquares().forward(np.ones((3, 2)), np.zeros((3, 2)), scope)
    assert value == 6
    assert dy.tolist() == [[2.0, 2.0]] * 3
    value, dy = MeanSquaredError().forward(np.ones((3, 2)), np.zeros((3, 2)), scope)
    assert value == 1
    np.testing.assert_allclose(dy, np.full((3, 2), 1 / 3))


def test_tiny_probabilities_keep_their_digits() -> None:
    y = np.array([[40.0, 0.0]])
    value, _ = CrossEntropy().forward(y, np.array([0]), scope_for((2,)))
    np.testing.assert_allclose(value, np.exp(-40.0), rtol=1e-12, atol=1e-17)
    value, _ = BinaryCrossEntropy().forward(np.array([[40.0]]), np.array([[1.0]]), scope_for((1,)))
    np.testing.assert_allclose(value, np.exp(-40.0), rtol=1e-12)


def test_focal_without_focus_is_cross_entropy() -> None:
    weights = (0.5, 2.0, 1.0)
    y, target, weight = data(CrossEntropy(), (BATCH,), (3,))
    ours = Focal(gamma=0.0, class_weights=weights).forward(y, target, scope_for((3,)), weight)
    other = CrossEntropy(class_weights=weights).forward(y, target, scope_for((3,)), weight)
    for a, b in zip(ours, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)
    y, target, weight = data(BinaryFocal(), (BATCH,), (3,))
    ours = BinaryFocal(gamma=0.0, positive_weight=3.0).forward(y, target, scope_for((3,)), weight)
    other = BinaryCrossEntropy(positive_weight=3.0).forward(y, target, scope_for((3,)), weight)
    for a, b in zip(ours, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_classes_by_number_and_by_one_hot_agree() -> None:
    y, target, weight = data(CrossEntropy(), (BATCH,), (4,))
    ours = CrossEntropy(label_smoothing=0.1).forward(y, target, scope_for((4,)), weight)
    other = CategoricalCrossEntropy(label_smoothing=0.1).forward(
        y, np.eye(4)[target], scope_for((4,)), weight
    )
    for a, b in zip(ours, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", ["cross_entropy", "categorical_cross_entropy", "focal"])
def test_balanced_weights_make_classes_count_the_same(kind: str) -> None:
    loss: Any = members(Loss)[kind](class_weights="balanced")  # type: ignore[call-arg]
    y, target, _ = data(loss, (BATCH,), (3,))
    with pytest.raises(ValueError, match="must be fitted"):
        loss.forward(y, target, scope_for((3,)))
    fitted = loss.fitted([10, 20, 30])
    assert fitted.class_weights == (2.0, 1.0, 60 / 90)
    assert fitted.fitted([1, 1, 1]) == fitted
    assert loss.fitted([0, 5]).class_weights == (2.5, 0.5)
    fitted.forward(y, target, scope_for((3,)))


@pytest.mark.parametrize("one", [BinaryCrossEntropy, BinaryFocal])
def test_a_balanced_positive_weight_is_the_ratio(one: Any) -> None:
    loss = one(positive_weight="balanced")
    with pytest.raises(ValueError, match="must be fitted"):
        loss.forward(np.zeros((2, 1)), np.ones((2, 1)), scope_for((1,)))
    assert loss.fitted([30, 10]).positive_weight == 3.0
    assert one().fitted([30, 10]) == one()


def test_class_weights_must_fit_the_outputs() -> None:
    with pytest.raises(ShapeError, match="got 2 class weights for 3 classes"):
        CrossEntropy(class_weights=(1.0, 2.0)).check((3,))
    with pytest.raises(ShapeError, match=r"shape \(classes,\)"):
        Focal().check((3, 3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "huber", "delta": 0},
        {"kind": "quantile", "level": 1},
        {"kind": "cross_entropy", "label_smoothing": 1},
        {"kind": "cross_entropy", "class_weights": [1, -1]},
        {"kind": "cross_entropy", "class_weights": "fair"},
        {"kind": "focal", "gamma": -1},
        {"kind": "mean_squared_error", "delta": 1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Loss).validate_python(wrong)


EXACT = {
    "binary_cross_entropy", "categorical_cross_entropy", "cross_entropy", "grouped_cross_entropy",
    "half_squared_error", "kl_divergence", "mean_absolute_error", "mean_squared_error", "poisson",
    "quantile", "sum_of_squares",
}  # fmt: skip
"""Losses whose best constant has a formula; for the others it is close to it."""
PLAIN = [
    (loss, shape)
    for loss, shape in CASES
    if loss.kind in EXACT and not loss.weighs_classes and not getattr(loss, "label_smoothing", 0)
]


@pytest.mark.parametrize(("loss", "shape"), PLAIN, ids=map(name, PLAIN))
def test_no_other_constant_is_better(loss: Any, shape: Any) -> None:
    _, target, _ = data(loss, (200,), shape)
    target = abs(target) if loss.kind == "poisson" else target
    scope, rng = scope_for(shape), np.random.default_rng(1)
    constant = loss.constant(target, int(np.prod(shape))).reshape(shape)

    def loss_of(outputs: Any) -> float:
        y = np.broadcast_to(outputs, (len(target), *shape)).copy()
        return float(loss.forward(y, target, scope)[0])

    best = loss_of(constant)
    for _ in range(20):
        assert loss_of(constant + 0.1 * rng.normal(size=shape)) >= best - 1e-9
