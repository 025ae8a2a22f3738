"""The estimators among scikit-learn's own: its whole check suite, pipelines and searches."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import NetworkClassifier, NetworkRegressor

CHECK = """
import sys, warnings
warnings.simplefilter("ignore")
from sklearn.utils.estimator_checks import check_estimator
from threadpoolctl import threadpool_limits
import chainrule
estimator = getattr(chainrule, sys.argv[1])(random_state=0, epochs=60)
with threadpool_limits(1):
    results = check_estimator(estimator, on_fail=None)
bad = [(r["check_name"], r["status"], repr(r["exception"])) for r in results
       if r["status"] != "passed"]
assert len(results) > 40, len(results)
assert not bad, bad
"""


@pytest.mark.parametrize("name", ["NetworkClassifier", "NetworkRegressor"])
def test_scikit_learns_own_checks_pass_with_none_skipped(name: str) -> None:
    # SciPy reads this when it is imported: without it one check would be skipped.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", CHECK, name], env=environment, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr[-3000:]


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
    whole = NetworkClassifier(epochs=5, random_state=3).fit(x, y)
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
    assert [layer.kind for layer in model.spec_.network] == ["dense", "tanh", "dense"]


def test_a_wrong_hyperparameter_is_named() -> None:
    x, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="units"):
        NetworkClassifier(hidden=(0,)).fit(x, y)
