"""A calibrated classifier has the temperature that SciPy finds, and the same answers as before."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from core.data.ingest.profile import describe
from core.errors import InvalidError
from core.events import TrainingEnded
from core.export import to_onnx
from core.spec import JobSpec, admission
from core.training.calibration import temperature
from core.training.calibration.temperature import HIGHEST, LOWEST, best_temperature
from core.training.dataset import from_table
from core.training.loop import train
from core.training.model import TrainedModel
from core.training.trainer import Trainer
from tests.core.training.conftest import write

RNG = np.random.default_rng(5)


def best(loss: Any) -> float:
    """The temperature with the smallest loss, as SciPy finds it."""
    bounds = (np.log(LOWEST), np.log(HIGHEST))
    found = minimize_scalar(
        lambda log_t: loss(np.exp(log_t)), bounds=bounds, method="bounded", options={"xatol": 1e-10}
    )
    return float(np.exp(found.x))


def test_the_temperature_of_classes_is_that_of_scipy() -> None:
    logits = RNG.normal(0, 6, (400, 3))
    target = np.where(RNG.random(400) < 0.7, logits.argmax(axis=1), RNG.integers(0, 3, 400))
    weight = RNG.uniform(0, 2, 400)
    for given in (None, weight):
        mass = np.ones(400) if given is None else given

        def loss(t: float, mass: NDArray[Any] = mass) -> float:
            targets = (400 * np.eye(3)[target] + 1 / 3) / 401
            return float(-(mass * (targets * log_softmax(logits / t, axis=1)).sum(axis=1)).mean())

        found = best_temperature(logits, target, given, binary=False)
        assert found == pytest.approx(best(loss), rel=1e-5)
        assert found > 1.5


def test_the_temperature_of_binary_outputs_is_that_of_scipy() -> None:
    logits = RNG.normal(0, 5, (500, 2))
    target = (RNG.random((500, 2)) < 1 / (1 + np.exp(-logits / 3))).astype(float)

    def loss(t: float) -> float:
        targets = (500 * target + 0.5) / 501
        return float((np.logaddexp(0, logits / t) - targets * logits / t).mean())

    found = best_temperature(logits, target, binary=True)
    assert found == pytest.approx(best(loss), rel=1e-5)
    assert found == pytest.approx(3, rel=0.3)


def test_where_all_answers_are_right_one_row_more_limits_the_temperature() -> None:
    logits = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = best_temperature(logits, np.array([0, 1]), binary=False)
    assert softmax(logits / found, axis=1)[0, 0] == pytest.approx(2.5 / 3)
    assert best_temperature(logits, np.array([1, 0]), binary=False) == pytest.approx(HIGHEST)


def noisy(rows: int = 600) -> pa.Table:
    """Two features and three classes, a quarter of which are wrong."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 2))
    truth = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    label = np.where(rng.random(rows) < 0.25, rng.integers(0, 3, rows), truth)
    return pa.table({"a": x[:, 0], "b": x[:, 1], "y": label})


def spec(**fields: Any) -> JobSpec:
    given: dict[str, Any] = {
        "experiment": "e",
        "dataset": "d@1",
        "data": {"target": "y", "split": {"train": 0.5, "valid": 0.3, "test": 0.2}},
        "network": [64, "relu", 3],
        "loss": "cross_entropy",
        "optimizer": {"kind": "adam", "learning_rate": 0.02},
        "epochs": 60,
        "metrics": ["accuracy", "log_loss"],
    }
    return JobSpec.model_validate(given | fields)


def trained(folder: Path, job: JobSpec) -> tuple[TrainingEnded, TrainedModel]:
    folder.mkdir()
    path = write(noisy(), folder / "t.arrow")
    admission.check(job, describe(path), 2**30)
    ended = next(e for e in train(job, path, folder) if isinstance(e, TrainingEnded))
    return ended, TrainedModel.load(Path(ended.path))


def test_a_calibrated_model_is_the_same_but_less_sure(tmp_path: Path) -> None:
    before, plain = trained(tmp_path / "plain", spec())
    after, calibrated = trained(tmp_path / "calibrated", spec(calibrate="temperature"))
    t = after.details["temperature"]
    assert t > 1.2
    assert "temperature" not in before.details
    dataset, _ = from_table(spec(), noisy())
    assert dataset.test is not None
    x = np.asarray(dataset.test.x)
    expected = softmax(plain.network.forward(x)[0] / t, axis=1)
    scaled = softmax(calibrated.network.forward(x)[0], axis=1)
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-6)
    assert after.metrics["test/accuracy"] == before.metrics["test/accuracy"]
    assert after.metrics["valid/loss"] < before.metrics["valid/loss"]
    assert after.metrics["test/log_loss"] < before.metrics["test/log_loss"]
    found = log_loss(dataset.test.y, scaled, labels=[0, 1, 2])
    assert after.metrics["test/log_loss"] == pytest.approx(found, rel=1e-4)
    assert calibrated.digest == after.weights_digest != before.weights_digest


def test_onnx_has_the_calibrated_probabilities(tmp_path: Path) -> None:
    _, model = trained(tmp_path / "one", spec(calibrate="temperature", epochs=20))
    rows = [{"a": 0.3, "b": -1.0}, {"a": -2.0, "b": 0.1}]
    session = onnxruntime.InferenceSession(
        to_onnx(model).serialized(), providers=["CPUExecutionProvider"]
    )
    feed = {name: np.array([row[name] for row in rows]) for name in ("a", "b")}
    (found,) = session.run(["probability_1"], feed)
    expected = [row["1"] for row in model.predict_proba(rows)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_each_network_of_a_stack_has_its_own_temperature() -> None:
    specs = [spec(calibrate="temperature", seed=seed) for seed in (0, 1)]
    dataset, _ = from_table(specs[0], noisy())
    assert dataset.valid is not None
    alone = []
    for one in specs:
        trainer = Trainer([one], dataset)
        alone += temperature.scale(trainer, dataset.valid)
    stack = Trainer(specs, dataset, stacked_axis=True)
    before = stack.network.weights.copy()
    found = temperature.scale(stack, dataset.valid)
    np.testing.assert_allclose(found, alone, rtol=1e-6)
    changed = (stack.network.weights != before).sum(axis=-1)
    assert changed.tolist() == [64 * 3] * 2  # the first biases are zero


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": {"target": "y", "split": {"train": 1}}}, "needs validation rows"),
        ({"loss": "hinge"}, "hinge cannot be calibrated"),
        ({"network": [3, {"kind": "dropout", "rate": 0.1}]}, "the last layer must be dense"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    path = write(noisy(), tmp_path / "t.arrow")
    with pytest.raises(InvalidError, match=message):
        admission.check(spec(calibrate="temperature", **fields), describe(path), 2**30)
