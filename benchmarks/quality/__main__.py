"""`make bench-quality`: models with default settings on data sets of scikit-learn.

Every method sees the same training rows and is judged on the same test rows, a fifth of the set, in
several random splits. Shown are means: log loss, expected calibration error (ECE, 15 bins) and
accuracy of classifiers, R2 of regressions. The set `noisy` is the digits with a fifth of
all labels drawn at random.
"""

import argparse
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.results import Row, figure, publish
from chainrule.estimators import NetworkClassifier, NetworkRegressor
from chainrule.specs import first_spec
from core.data.ingest.profile import describe
from core.events import TrainingEnded
from core.spec import JobSpec
from core.training.loop import train
from core.training.model import TrainedModel

Array: TypeAlias = NDArray[Any]
Predict: TypeAlias = Callable[[Array], Array]
"""Class probabilities, or numbers, for features."""
BINS = 15


@dataclass(frozen=True)
class Case:
    """Training and test rows of one split; `classes` is 0 for a regression."""

    x: Array
    y: Array
    test_x: Array
    test_y: Array
    classes: int
    seed: int


Method: TypeAlias = Callable[[Case], Predict]


def cases(name: str, splits: int) -> Iterator[Case]:
    """The splits of a data set."""
    load = getattr(datasets, f"load_{'digits' if name == 'noisy' else name}")
    x, y = load(return_X_y=True)
    classes = 0 if name == "diabetes" else len(np.unique(y))
    if name == "noisy":
        rng = np.random.default_rng(0)
        y = np.where(rng.random(len(y)) < 0.2, rng.integers(0, classes, len(y)), y)
    for seed in range(splits):
        train_x, test_x, train_y, test_y = train_test_split(
            x, y, test_size=0.2, random_state=seed, stratify=y if classes else None
        )
        yield Case(train_x, train_y, test_x, test_y, classes, seed)


def chainrule_fit(case: Case, **changes: Any) -> Predict:
    """The JobSpec that `chainrule fit` writes; a ninth of the training rows validates."""
    names = [f"x{number:02}" for number in range(case.x.shape[1])]
    table = pa.table({**dict(zip(names, case.x.T, strict=True)), "y": case.y})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        document = first_spec({**describe(path).model_dump(), "name": "d", "version": 1}, "y")
        document["data"]["split"] = {"train": 8 / 9, "valid": 1 / 9, "test": 0}
        document["data"]["standardize_target"] = not case.classes
        spec = JobSpec.model_validate({**document, "seed": case.seed, **changes})
        ended = next(e for e in train(spec, path, Path(folder)) if isinstance(e, TrainingEnded))
        model = TrainedModel.load(Path(ended.path))

    def predict(x: Array) -> Array:
        outputs = model.outputs(model.rows_to_array(_rows(names, x)))
        return outputs if case.classes else outputs.reshape(-1)

    return predict


def _rows(names: list[str], x: Array) -> list[dict[str, float]]:
    return [dict(zip(names, row, strict=True)) for row in x.tolist()]


def calibrated_fit(case: Case) -> Predict:
    """As `chainrule_fit`, with temperature scaling; nothing changes for a regression."""
    return chainrule_fit(case, calibrate="temperature") if case.classes else chainrule_fit(case)


def estimator(classifier: Any, regressor: Any, **fields: Any) -> Method:
    """An estimator of scikit-learn's interface behind a StandardScaler."""

    def fit(case: Case) -> Predict:
        made = (classifier if case.classes else regressor)(random_state=case.seed, **fields)
        model = make_pipeline(StandardScaler(), made).fit(case.x, case.y)
        predict: Predict = model.predict_proba if case.classes else model.predict
        return predict

    return fit


def pytorch(case: Case) -> Predict:
    """A layer of 64 units, Adam with its defaults, batches of 32 rows and 100 epochs."""
    torch.manual_seed(case.seed)
    scaler = StandardScaler().fit(case.x)
    x = torch.tensor(scaler.transform(case.x), dtype=torch.float32)
    y = torch.tensor(case.y, dtype=torch.int64 if case.classes else torch.float32)
    network = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], 64), torch.nn.ReLU(), torch.nn.Linear(64, case.classes or 1)
    )
    loss: Any = torch.nn.CrossEntropyLoss() if case.classes else torch.nn.MSELoss()
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(100):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            outputs = network(x[rows]) if case.classes else network(x[rows])[:, 0]
            loss(outputs, y[rows]).backward()
            optimizer.step()

    def predict(given: Array) -> Array:
        with torch.no_grad():
            outputs = network(torch.tensor(scaler.transform(given), dtype=torch.float32))
            numbers: Array = (outputs.softmax(dim=1) if case.classes else outputs[:, 0]).numpy()
        return numbers

    return predict


METHODS: dict[str, Method] = {
    "chainrule fit": chainrule_fit,
    "chainrule fit, calibrated": calibrated_fit,
    "estimator": estimator(NetworkClassifier, NetworkRegressor),
    "estimator, all epochs": estimator(NetworkClassifier, NetworkRegressor, early_stopping=None),
    "scikit-learn": estimator(MLPClassifier, MLPRegressor),
    "scikit-learn, early stopping": estimator(MLPClassifier, MLPRegressor, early_stopping=True),
    "pytorch": pytorch,
}


def judge(case: Case, outputs: Array) -> dict[str, float]:
    """The figures of predictions for the test rows of a case."""
    if not case.classes:
        return {"R2": float(r2_score(case.test_y, outputs))}
    shares = outputs.astype(np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    return {
        "log loss": float(log_loss(case.test_y, shares, labels=range(case.classes))),
        "ECE": calibration_error(shares, case.test_y),
        "accuracy": float(accuracy_score(case.test_y, shares.argmax(axis=1))),
    }


def calibration_error(shares: Array, truth: Array) -> float:
    """The expected calibration error: |accuracy - confidence| of bins, weighted by their rows.

    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning".
    """
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(right[bins == index].sum() - confidence[bins == index].sum())
        for index in np.unique(bins)
    ]
    return float(sum(gaps) / len(truth))


def measure(name: str, splits: int, chosen: list[str]) -> list[Row]:
    """The mean figures of each method on a data set."""
    rows = []
    for method in chosen:
        figures: dict[str, list[float]] = {}
        for case in cases(name, splits):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outputs = METHODS[method](case)(case.test_x)
            for key, value in judge(case, outputs).items():
                figures.setdefault(key, []).append(value)
        for key, values in figures.items():
            rows.append(figure(f"{name}: {method}: {key}", statistics.mean(values), key))
            print(rows[-1].name, rows[-1].value, flush=True)
    return rows


def main() -> None:
    """Measure all methods, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    sets = ["breast_cancer", "wine", "digits", "noisy", "diabetes"]
    parser.add_argument("--set", action="append", choices=sets)
    parser.add_argument("--method", action="append", choices=list(METHODS))
    parser.add_argument("--splits", type=int, default=5)
    given = parser.parse_args()
    rows: list[Row] = []
    for name in given.set or sets:
        rows += measure(name, given.splits, given.method or list(METHODS))
    publish("quality", rows)


if __name__ == "__main__":
    main()
