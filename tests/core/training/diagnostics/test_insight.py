"""What a trained network is seen to do: counted again by other means."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.data.table.reader import load
from core.events import TrainingEnded
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.training import loop
from core.training.diagnostics.insight import HARDEST
from core.training.loop import train
from core.training.model import TrainedModel
from tests.core.training.conftest import write
from tests.core.training.test_loop import LINE


def ended(spec: dict[str, Any], table: Path, folder: Path) -> tuple[TrainingEnded, TrainedModel]:
    """The last event of training, and the model."""
    *_, last = train(JobSpec.model_validate(spec), table, folder)
    assert isinstance(last, TrainingEnded)
    json.dumps(last.insights, allow_nan=False)
    return last, TrainedModel.load(Path(last.path))


def rows_of(path: Path, numbers: list[int]) -> pa.Table:
    return load(path).take(pa.array(numbers))


def test_mistakes_of_a_classifier(digits: Path, tmp_path: Path) -> None:
    spec = {**DIGITS, "epochs": 2}
    last, model = ended(spec, digits, tmp_path)
    found = last.insights
    assert found["part"] == "valid"
    counts = np.array(found["confusion"]["counts"])
    assert found["confusion"]["labels"] == list(range(10))
    assert counts.sum() == found["rows"] == 180
    assert counts.trace() / counts.sum() == pytest.approx(last.metrics["valid/accuracy"])
    assert [one["loss"] for one in found["hardest"]] == sorted(
        (one["loss"] for one in found["hardest"]), reverse=True
    )
    # The rows are named as the dataset version counts them, and the loss is that of one row.
    table = rows_of(digits, [one["row"] for one in found["hardest"]])
    probabilities = model.raw_outputs(model.table_to_array(table))[1]
    truth = table.column("label").to_numpy()
    assert [one["truth"] for one in found["hardest"]] == truth.tolist()
    assert [one["answer"] for one in found["hardest"]] == probabilities.argmax(axis=1).tolist()
    expected = -np.log(probabilities[np.arange(HARDEST), truth])
    assert [one["loss"] for one in found["hardest"]] == pytest.approx(expected, rel=1e-3)


def test_rows_are_counted_in_the_version_though_a_query_chose_them(
    digits: Path, tmp_path: Path
) -> None:
    digits_spec: dict[str, Any] = dict(DIGITS)
    data = {**digits_spec["data"], "query": "label:[3 TO 7]"}
    network = [*digits_spec["network"][:-1], {"kind": "dense", "units": 5}]
    found, _ = ended(
        {**digits_spec, "data": data, "network": network, "epochs": 1}, digits, tmp_path
    )
    assert found.insights["confusion"]["labels"] == [3, 4, 5, 6, 7]
    hardest = found.insights["hardest"]
    table = rows_of(digits, [one["row"] for one in hardest])
    assert table.column("label").to_pylist() == [one["truth"] for one in hardest]


def test_how_layers_are_spread(digits: Path, tmp_path: Path) -> None:
    last, _ = ended({**DIGITS, "epochs": 1}, digits, tmp_path)
    activations, gradients = last.insights["activations"], last.insights["gradients"]
    assert list(activations) == ["network[0]", "network[1]", "network[2]"]
    relu = activations["network[1]"]
    assert relu["low"] == 0
    assert 0 < relu["zero"] < 1
    assert sum(relu["counts"]) == 180 * 64
    assert set(gradients) == {
        "network[0].weight", "network[0].bias", "network[2].weight", "network[2].bias"
    }  # fmt: skip


def test_numbers_have_no_confusion_but_hard_rows(line: Path, tmp_path: Path) -> None:
    found, _ = ended({**LINE, "epochs": 3}, line, tmp_path)
    assert "confusion" not in found.insights
    worst = found.insights["hardest"][0]
    assert worst["loss"] == pytest.approx((worst["truth"][0] - worst["answer"][0]) ** 2, rel=1e-3)


def test_a_network_that_guesses_one_thing_or_another(line: Path, tmp_path: Path) -> None:
    spec = {
        **LINE,
        "data": {"target": "big", "features": ["a", "b"]},
        "loss": {"kind": "binary_cross_entropy"},
        "metrics": [{"kind": "accuracy"}],
        "epochs": 5,
    }
    last, _ = ended(spec, line, tmp_path)
    counts = np.array(last.insights["confusion"]["counts"])
    assert counts.shape == (2, 2)
    assert counts.trace() / counts.sum() == pytest.approx(last.metrics["valid/accuracy"])
    assert all(isinstance(label, str) for label in last.insights["confusion"]["labels"])


def test_looking_changes_no_weights(digits: Path, tmp_path: Path) -> None:
    """Batch normalization and dropout have state and chance that a training pass moves."""
    network = [
        {"kind": "dense", "units": 16},
        {"kind": "batch_norm"},
        {"kind": "dropout", "rate": 0.5},
        {"kind": "dense", "units": 10},
    ]
    last, model = ended({**DIGITS, "network": network, "epochs": 1}, digits, tmp_path)
    assert model.digest == last.weights_digest


def test_a_single_class_has_a_single_answer(tmp_path: Path) -> None:
    table = pa.table({"x": np.arange(60.0), "y": ["only"] * 60})
    spec: dict[str, Any] = {
        **DIGITS,
        "data": {"target": "y"},
        "network": [{"kind": "dense", "units": 1}],
        "epochs": 1,
    }
    last, _ = ended(spec, write(table, tmp_path / "one.arrow"), tmp_path)
    assert last.insights["confusion"] == {"labels": ["only"], "counts": [[6]]}
    assert {one["answer"] for one in last.insights["hardest"]} == {"only"}


def test_a_failure_to_look_does_not_cost_the_training(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no bins")

    monkeypatch.setattr(loop, "insights", fail)
    last, model = ended({**DIGITS, "epochs": 1}, digits, tmp_path)
    assert (last.reason, last.insights) == ("epochs", {})
    assert model.digest == last.weights_digest
    assert "no insights into the trained network: ValueError: no bins" in caplog.text
