"""A model is measured, and its predictions written, slice by slice of a table."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from core.errors import InvalidError
from core.events import EvaluationEnded, RowsPassed, ScoringEnded, TrainingEnded
from core.family import members
from core.nn.loss import Loss
from core.spec import JobSpec
from core.spec.inference import ScoringSpec
from core.training import checkpoint, table_pass
from core.training.loop import train
from core.training.model import TrainedModel
from core.training.table_evaluation import MOST_SLICES, measure
from core.training.table_predictions import score
from tests.core.training.conftest import write

ROWS = 90


def table(**more: Any) -> pa.Table:
    rng = np.random.default_rng(3)
    x = rng.normal(size=ROWS)
    return pa.table(
        {
            "x": x,
            "z": rng.normal(size=ROWS),
            "y": 2 * x + 1,
            "w": -x,
            "group": ["a", "b", "c"] * (ROWS // 3),
            **more,
        }
    )


def fitted(tmp_path: Path, **changes: Any) -> TrainedModel:
    spec = {
        "experiment": "e",
        "dataset": "d",
        "data": {"target": "y", "features": ["x", "z"]},
        "network": [{"kind": "dense", "units": 1}],
        "loss": {"kind": "mean_squared_error"},
        "epochs": 2,
        **changes,
    }
    path = tmp_path / "table.arrow"
    with pa.ipc.new_file(path, table().schema) as file:
        file.write_table(table())
    *_, ended = train(JobSpec.model_validate(spec), path, tmp_path)
    assert isinstance(ended, TrainingEnded)
    return TrainedModel.load(tmp_path / ended.path)


def evaluated(
    model: TrainedModel, data: pa.Table, slices: tuple[str, ...] = ()
) -> tuple[list[RowsPassed], EvaluationEnded]:
    """The events of an evaluation."""
    *passed, ended = measure(model, data, slices)
    assert isinstance(ended, EvaluationEnded)
    return [event for event in passed if isinstance(event, RowsPassed)], ended


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of seven rows: several, the last one shorter."""
    monkeypatch.setattr(table_pass, "MOST_ROWS", 7)


@pytest.mark.usefixtures("short")
def test_slices_add_up_to_the_whole(tmp_path: Path) -> None:
    model, data = fitted(tmp_path), table()
    passed, ended = evaluated(model, data, ("group",))
    assert [one.rows for one in passed] == [*range(7, ROWS, 7), ROWS]
    said = model.outputs(model.table_to_array(data)).reshape(-1)
    errors = (said - data["y"].to_numpy()) ** 2
    assert ended.metrics["mse"] == pytest.approx(errors.mean(), rel=1e-5)
    assert ended.metrics["loss"] == pytest.approx(errors.mean(), rel=1e-5)
    assert ended.confusion is None
    found = {one["value"]: one["metrics"]["mse"] for one in ended.slices}
    assert found == {
        name: pytest.approx(errors[start::3].mean(), rel=1e-5) for start, name in enumerate("abc")
    }


@pytest.mark.usefixtures("short")
def test_a_row_that_cannot_be_used_is_named_with_the_slice_it_is_in(tmp_path: Path) -> None:
    model = fitted(tmp_path)
    x = table()["x"].to_numpy().copy()
    x[16] = np.nan
    with pytest.raises(InvalidError, match=r"row 3, counted from row 15 on"):
        list(measure(model, table().set_column(0, "x", pa.array(x))))
    with pytest.raises(InvalidError, match="no rows"):
        list(measure(model, table().slice(0, 0)))


def test_too_many_slices_are_refused(tmp_path: Path) -> None:
    many = table(group=list(range(ROWS)))
    with pytest.raises(InvalidError, match=f"more than {MOST_SLICES} values"):
        list(measure(fitted(tmp_path), many, ("group",)))


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_file_of_answers_has_every_row_once(tmp_path: Path, kind: str) -> None:
    model = fitted(
        tmp_path,
        data={"target": ["y", "w"], "features": ["x", "z"]},
        network=[{"kind": "dense", "units": 2}],
    )
    spec = ScoringSpec.model_validate({"dataset": "d", "keep": ["z"], "format": kind})
    *_, ended = score(model, table(), spec, tmp_path)
    assert isinstance(ended, ScoringEnded)
    read = pq.read_table if kind == "parquet" else pyarrow.csv.read_csv
    found = read(ended.path)
    assert found.column_names == ended.columns == ["row", "z", "prediction_y", "prediction_w"]
    assert found["row"].to_pylist() == list(range(ROWS))
    said = model.outputs(model.table_to_array(table()))
    assert np.array(found["prediction_w"]) == pytest.approx(said[:, 1])


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("targets", [["y"], ["y", "w"]])
def test_the_file_has_intervals_when_asked_for(tmp_path: Path, targets: Any) -> None:
    model = fitted(
        tmp_path,
        data={"target": targets, "features": ["x", "z"]},
        network=[{"kind": "dense", "units": len(targets)}],
    )
    *_, ended = score(
        model, table(), ScoringSpec.model_validate({"dataset": "d", "interval": 0.5}), tmp_path
    )
    assert isinstance(ended, ScoringEnded)
    found = pq.read_table(ended.path)
    assert model.calibration is not None
    for at, target in enumerate(targets):
        end = f"_{target}" if len(targets) > 1 else ""
        middle, radius = np.array(found[f"prediction{end}"]), model.calibration.radius(0.5)[at]
        assert np.array(found[f"interval_low{end}"]) == pytest.approx(middle - radius, abs=1e-5)
        assert np.array(found[f"interval_high{end}"]) == pytest.approx(middle + radius, abs=1e-5)


def test_a_regression_has_no_probabilities(tmp_path: Path) -> None:
    spec = ScoringSpec.model_validate({"dataset": "d", "probabilities": True})
    with pytest.raises(InvalidError, match="no probabilities"):
        list(score(fitted(tmp_path), table(), spec, tmp_path))


BALANCED = [
    (kind, field)
    for kind, loss in members(cast("Any", Loss)).items()
    for field in ("class_weights", "positive_weight")
    if field in loss.__dataclass_fields__
]


def labelled(target: str) -> pa.Table:
    """Rows of rare and frequent classes; three quarters of them train, the others validate."""
    rng = np.random.default_rng(5)
    label = np.where(np.arange(ROWS) % 6 == 0, 1, 0)
    columns = {"x": rng.normal(size=ROWS) + label, "label": label}
    if target == "distribution":
        columns |= {"a": 0.9 - 0.8 * label, "b": 0.1 + 0.8 * label}
    columns["part"] = np.where(np.arange(ROWS) % 4 == 0, "valid", "train")
    return pa.table(columns)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("kind", "field"), BALANCED)
def test_a_balanced_loss_is_measured_with_the_weights_it_was_trained_with(
    tmp_path: Path, kind: str, field: Any
) -> None:
    target = members(cast("Any", Loss))[kind].target
    data = labelled(target)
    spec = {
        "experiment": "e",
        "dataset": "d",
        "data": {
            "target": ["a", "b"] if target == "distribution" else "label",
            "features": ["x"],
            "split": {"train": 0.75, "valid": 0.25, "test": 0, "column": "part"},
        },
        "network": [{"kind": "dense", "units": 1 if target == "binary" else 2}],
        "loss": {"kind": kind, field: "balanced"},
        "epochs": 3,
    }
    path = write(data, tmp_path / "table.arrow")
    *_, ended = train(JobSpec.model_validate(spec), path, tmp_path)
    assert isinstance(ended, TrainingEnded)
    model = TrainedModel.load(tmp_path / ended.path)
    valid = data.filter(pc.equal(data["part"], "valid"))
    _, measured = evaluated(model, valid)
    assert measured.metrics["loss"] == pytest.approx(ended.metrics["valid/loss"], rel=1e-5)


def test_a_model_of_before_losses_were_kept_is_measured_without_the_weighted_loss(
    tmp_path: Path,
) -> None:
    model = fitted(
        tmp_path,
        data={"target": "group", "features": ["x", "z"]},
        network=[{"kind": "dense", "units": 3}],
        loss={"kind": "cross_entropy", "class_weights": "balanced"},
        metrics=[{"kind": "accuracy"}],
    )
    model.save(tmp_path / "new")
    arrays, metadata = checkpoint.read(tmp_path / "new")
    del metadata["loss"]
    checkpoint.save(tmp_path / "old", arrays, metadata)
    _, new = evaluated(TrainedModel.load(tmp_path / "new"), table())
    _, old = evaluated(TrainedModel.load(tmp_path / "old"), table())
    assert set(new.metrics) - set(old.metrics) == {"loss"}
    assert old.metrics["accuracy"] == new.metrics["accuracy"]
