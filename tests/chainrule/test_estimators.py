"""The estimators among scikit-learn's own: its whole check suite, pipelines and searches."""

import json
import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import NetworkClassifier, NetworkRegressor, estimators
from core.training.dataset_types import Dataset, Part

CHECK = """
import json, sys, warnings
warnings.simplefilter("ignore")
from sklearn.utils.estimator_checks import check_estimator
from threadpoolctl import threadpool_limits
import chainrule
estimator = getattr(chainrule, sys.argv[1])(**json.loads(sys.argv[2]))
with threadpool_limits(1):
    results = check_estimator(estimator, on_fail=None)
bad = [(r["check_name"], r["status"], repr(r["exception"])) for r in results
       if r["status"] != "passed"]
assert len(results) > 40, len(results)
assert not bad, bad
"""


PLAIN = {"random_state": 0, "epochs": 60}
ALL = {
    "layers": [{"kind": "dense", "units": 32}, {"kind": "tanh"}],
    "hidden": [8],
    "activation": "tanh",
    "optimizer": {"kind": "adam", "learning_rate": 0.02},
    "schedule": "cosine",
    "batch_size": 16,
    "epochs": 80,
    "early_stopping": 40,
    "validation_fraction": 0.2,
    "standardize_target": False,
    "random_state": 1,
}
"""Every parameter but the loss, none as it is by default."""


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("NetworkClassifier", PLAIN),
        ("NetworkClassifier", {**ALL, "loss": {"kind": "focal", "gamma": 1.0}}),
        ("NetworkClassifier", {**PLAIN, "loss": "binary_cross_entropy"}),
        ("NetworkRegressor", PLAIN),
        ("NetworkRegressor", {**ALL, "loss": "huber"}),
    ],
    ids=["classifier", "classifier-all", "classifier-binary", "regressor", "regressor-all"],
)
def test_scikit_learns_own_checks_pass_with_none_skipped(
    name: str, parameters: dict[str, Any]
) -> None:
    # SciPy reads this when it is imported: without it one check would be skipped.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", CHECK, name, json.dumps(parameters)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]


def test_every_parameter_is_checked() -> None:
    parameters = set(NetworkClassifier().get_params())
    assert {*ALL, "loss"} == parameters == set(NetworkRegressor().get_params())


def test_in_a_pipeline_and_a_grid_search() -> None:
    x, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), NetworkClassifier(epochs=40, random_state=0))
    search = GridSearchCV(
        pipeline, {"networkclassifier__optimizer": ["adam", {"kind": "sgd", "momentum": 0.9}]}, cv=3
    )
    search.fit(x, y)
    assert search.best_score_ > 0.9


def test_a_regression_beats_the_mean() -> None:
    x, y = load_diabetes(return_X_y=True)
    model = NetworkRegressor(
        hidden=(16,), epochs=200, optimizer={"kind": "adam", "learning_rate": 0.05}, random_state=0
    )
    assert cross_val_score(model, x, y, cv=3).mean() > 0.35


def test_partial_fit_goes_on_where_it_left_off() -> None:
    x, y = load_iris(return_X_y=True)
    whole = NetworkClassifier(epochs=5, early_stopping=None, random_state=3).fit(x, y)
    parts = NetworkClassifier(random_state=3)
    for _ in range(5):
        parts.partial_fit(x, y, classes=[0, 1, 2])
    assert np.array_equal(whole.weights_, parts.weights_)


def test_early_stopping_ends_before_the_epochs() -> None:
    x, y = load_iris(return_X_y=True)
    model = NetworkClassifier(
        epochs=5000,
        early_stopping=5,
        optimizer={"kind": "adam", "learning_rate": 0.05},
        random_state=0,
    ).fit(x, y)
    assert model.n_iter_ < 5000


def test_hidden_layers_can_be_given_as_in_a_job() -> None:
    x, y = load_iris(return_X_y=True)
    layers = [{"kind": "dense", "units": 8}, {"kind": "tanh"}]
    model = NetworkClassifier(layers, epochs=1, random_state=0).fit(x, y)
    assert [layer.kind for layer in model.spec_.layers] == ["dense", "tanh", "dense"]


def test_a_wrong_hyperparameter_is_named() -> None:
    x, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="units"):
        NetworkClassifier(hidden=(0,)).fit(x, y)


def two_classes() -> tuple[Any, Any]:
    x, y = load_iris(return_X_y=True)
    return x[y > 0], np.array(["no", "yes"])[y[y > 0] - 1]


@pytest.mark.parametrize(
    "loss", ["binary_cross_entropy", "binary_focal", "hinge", "categorical_cross_entropy", "focal"]
)
@pytest.mark.parametrize("partial", [False, True])
def test_a_classifier_takes_every_loss_of_classes(loss: str, partial: bool) -> None:
    x, y = two_classes()
    model = NetworkClassifier(
        loss=loss, epochs=60, optimizer={"kind": "adam", "learning_rate": 0.02}, random_state=0
    )
    if partial:
        for _ in range(60):
            model.partial_fit(x, y, classes=["yes", "no"])
    else:
        model.fit(x, y)
    assert model.score(x, y) > 0.85
    chances = model.predict_proba(x)
    assert chances.shape == (100, 2)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    assert (model.classes_[chances.argmax(axis=1)] == model.predict(x)).all()


def test_a_loss_of_other_targets_is_refused_by_name() -> None:
    x, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="hinge compares two"):
        NetworkClassifier(loss="hinge").fit(x, y)
    with pytest.raises(ValueError, match="huber is not a loss for a classifier"):
        NetworkClassifier(loss="huber").fit(x, y)
    with pytest.raises(ValueError, match="focal is not a loss for a regressor"):
        NetworkRegressor(loss="focal").fit(x, y)
    with pytest.raises(ValueError, match="nonsense"):
        NetworkClassifier(loss="nonsense").fit(x, y)


@pytest.mark.parametrize("fraction", [-1, 0, 1, 1.5, float("nan")])
def test_a_share_to_hold_out_is_between_0_and_1(fraction: float) -> None:
    x, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="validation_fraction must be between 0 and 1"):
        NetworkClassifier(early_stopping=2, validation_fraction=fraction).fit(x, y)


def test_one_row_cannot_be_held_out() -> None:
    with pytest.raises(ValueError, match="1 sample is too few"):
        NetworkRegressor(early_stopping=2).fit([[1.0, 2.0]], [3.0])
    model = NetworkRegressor(early_stopping=2, epochs=3).fit([[1.0, 2.0], [2.0, 3.0]], [3.0, 4.0])
    assert model.n_iter_ <= 3


def test_each_class_is_held_out_by_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.array([0] * 80 + [1] * 20)
    x = np.random.default_rng(0).normal(size=(100, 2)) + y[:, None]
    held: list[Any] = []

    class Watched(Dataset):
        def __init__(self, train: Part, valid: Part | None = None) -> None:
            held.append(valid)
            super().__init__(train, valid)

    monkeypatch.setattr(estimators, "Dataset", Watched)
    for seed in range(5):
        NetworkClassifier(
            early_stopping=2, epochs=1, validation_fraction=0.2, random_state=seed
        ).fit(x, y)
    assert [np.bincount(part.y).tolist() for part in held] == [[16, 4]] * 5


def test_few_rows_first_do_not_fix_the_batch() -> None:
    x, y = load_iris(return_X_y=True)
    model = NetworkClassifier(random_state=3, epochs=2)
    model.partial_fit(x[[0, 60, 120]], y[[0, 60, 120]], classes=[0, 1, 2]).partial_fit(x, y)
    assert model._snapshot is not None
    assert json.loads(model._snapshot[1]["cursor"])["step"] == 1 + math.ceil(len(x) / 32)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "polynomial"])
def test_a_schedule_has_passes_left_however_many_there_were(schedule: str) -> None:
    x, y = load_iris(return_X_y=True)
    whole = NetworkClassifier(schedule=schedule, epochs=4, early_stopping=None, random_state=3).fit(
        x, y
    )
    parts = NetworkClassifier(schedule=schedule, epochs=4, random_state=3)
    before = None
    for passes in range(1, 11):
        parts.partial_fit(x, y, classes=[0, 1, 2])
        assert before is None or not np.array_equal(parts.weights_, before)
        before = parts.weights_
        if passes == 4:
            assert np.array_equal(parts.weights_, whole.weights_)
    # A small piece after large ones is not taken for the end.
    parts.partial_fit(x[:3], y[:3])
    assert np.abs(parts.weights_ - before).max() > 1e-6


def test_the_unit_of_the_target_does_not_matter() -> None:
    x, y = load_diabetes(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    plain = NetworkRegressor(hidden=[8], epochs=50, random_state=1)
    small, large = (clone(plain).fit(x, y * unit).predict(x) for unit in (1, 2**17))
    assert np.array_equal(small * 2**17, large)
    assert r2_score(y, small) > 0.4
    off = NetworkRegressor(hidden=[8], epochs=50, random_state=1, standardize_target=False)
    assert r2_score(y, off.fit(x, y).predict(x)) < 0


def test_later_pieces_are_on_the_scale_of_the_first() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    y = 1e6 + 1e5 * (x @ np.array([[1.0, 0.5], [-1.0, 2.0]]))
    model = NetworkRegressor(hidden=[8], random_state=1)
    for start in [*range(0, 400, 100)] * 20:
        model.partial_fit(x[start : start + 100], y[start : start + 100])
    assert model.score(x, y) > 0.85


def test_counts_are_not_standardized() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1))
    y = rng.poisson(np.exp(1 + x[:, 0]))
    model = NetworkRegressor(loss="poisson", hidden=[8], epochs=50, random_state=1).fit(x, y)
    assert (model.predict(x) > 0).all()
    assert model.score(x, y) > 0.5


def test_early_stopping_is_for_a_hundred_rows_or_more() -> None:
    x, y = load_iris(return_X_y=True)
    few = np.arange(0, 150, 2)
    for rows, other in ((slice(None), 10), (few, None)):
        given: dict[str, Any] = {"epochs": 40, "random_state": 1}
        default = NetworkClassifier(**given).fit(x[rows], y[rows])
        same = NetworkClassifier(early_stopping=other, **given).fit(x[rows], y[rows])
        assert np.array_equal(default.weights_, same.weights_)
