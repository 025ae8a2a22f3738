"""Every kind of output, one and several, from the spec through training to raw rows and answers."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.data.ingest.profile import describe
from core.data.table.reader import load
from core.data.table.tensors import tensor_array, tensor_field
from core.errors import InvalidError
from core.events import EpochEnded, EvaluationEnded, TrainingEnded
from core.spec import JobSpec
from core.spec.admission import check
from core.training import model as module
from core.training.loop import train
from core.training.model import TrainedModel
from core.training.table_evaluation import measure
from tests.core.export.models import model as random_model
from tests.core.training.conftest import write

ROWS = 300
SHAPE = (6, 5)
PICTURE = tensor_field("picture", pa.float32(), (*SHAPE, 1))
BRIGHT = tensor_field("bright", pa.float32(), SHAPE)
MASK = tensor_field("mask", pa.uint8(), SHAPE)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows whose targets are simple functions of a and b: all of them can be learned."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, ROWS))
    grid = np.linspace(-1, 1, SHAPE[0])[:, None] + np.linspace(-1, 1, SHAPE[1])
    waves = np.add.outer(a, grid).astype(np.float32)
    whole = {
        "a": a,
        "b": b,
        "sum": a + b,
        "difference": a - b,
        "share": 1 / (1 + np.exp(-a)),
        "other_share": 1 / (1 + np.exp(b)),
        "yes": a > 0,
        "big": np.where(b > 0, "big", "small"),
        "size": np.where(a > 0.5, "l", np.where(a < -0.5, "s", "m")),
        "number": np.where(b > 0, 7, 3),
        "ids": rng.integers(0, 5, ROWS),
        "weight": np.where(np.arange(ROWS) == 0, 1.0, 0.0),
    }
    arrays = [pa.array(values) for values in whole.values()]
    fields = [pa.field(name, one.type) for name, one in zip(whole, arrays, strict=True)]
    arrays += [
        tensor_array(waves[..., None], PICTURE),
        tensor_array(1 / (1 + np.exp(-waves)), BRIGHT),
        tensor_array((waves > 0).astype(np.uint8), MASK),
    ]
    made = pa.Table.from_arrays(arrays, schema=pa.schema([*fields, PICTURE, BRIGHT, MASK]))
    return write(made, tmp_path_factory.mktemp("outputs") / "outputs.arrow")


def dense(units: int) -> dict[str, Any]:
    return {"kind": "dense", "units": units}


def spec_of(**changes: Any) -> JobSpec:
    base = {
        "experiment": "outputs",
        "dataset": "outputs@1",
        "optimizer": {"kind": "adam", "learning_rate": 0.03},
        "epochs": 40,
    }
    return JobSpec.model_validate({**base, **changes})


def trained(table: Path, folder: Path, **changes: Any) -> tuple[TrainedModel, TrainingEnded]:
    """Checked as a job is, trained, and read back from its file."""
    spec = spec_of(**changes)
    check(spec, describe(table), 2**30)
    end = [event for event in train(spec, table, folder) if event is not None][-1]
    assert isinstance(end, TrainingEnded)
    return TrainedModel.load(Path(end.path)), end


def data(target: Any) -> dict[str, Any]:
    return {"target": target, "features": ["a", "b"]}


def row(a: float, b: float) -> dict[str, float]:
    return {"a": a, "b": b}


def test_several_numbers(table: Path, tmp_path: Path) -> None:
    model, _ = trained(
        table,
        tmp_path,
        data=data(["sum", "difference"]),
        network=[dense(2)],
        loss={"kind": "mean_squared_error"},
    )
    (answer,) = model.predict([row(1, 2)])
    assert answer == {"sum": pytest.approx(3, abs=0.05), "difference": pytest.approx(-1, abs=0.05)}


def test_several_numbers_between_0_and_1(table: Path, tmp_path: Path) -> None:
    model, end = trained(
        table,
        tmp_path,
        data=data(["share", "other_share"]),
        network=[dense(2), {"kind": "sigmoid"}],
        loss={"kind": "half_squared_error"},
        metrics=[{"kind": "mae"}],
    )
    assert end.metrics["test/mae"] < 0.05
    for answer in model.predict([row(9, -9), row(-9, 9), row(0, 0)]):
        assert all(0 <= value <= 1 for value in answer.values())
    assert model.predict([row(9, -9)])[0]["share"] > 0.9


def test_several_booleans(table: Path, tmp_path: Path) -> None:
    model, end = trained(
        table,
        tmp_path,
        data=data(["yes", "big"]),
        network=[dense(2)],
        loss={"kind": "binary_cross_entropy"},
        metrics=[{"kind": "f1"}],
    )
    assert end.metrics["test/f1"] > 0.9
    assert model.predict([row(2, -2), row(-2, 2)]) == [
        {"yes": True, "big": "small"},
        {"yes": False, "big": "big"},
    ]
    (chances,) = model.predict_proba([row(2, -2)])
    assert chances["yes"]["True"] > 0.8
    assert chances["big"]["small"] > 0.8


def test_several_categories(table: Path, tmp_path: Path) -> None:
    model, end = trained(
        table,
        tmp_path,
        data=data(["size", "number"]),
        network=[dense(16), {"kind": "tanh"}, dense(5)],
        loss={"kind": "grouped_cross_entropy", "groups": [3, 2]},
        metrics=[{"kind": "f1"}, {"kind": "roc_auc"}],
    )
    assert end.metrics["test/f1"] > 0.85
    assert model.predict([row(2, -2), row(-2, 2)]) == [
        {"size": "l", "number": 3},
        {"size": "s", "number": 7},
    ]
    (chances,) = model.predict_proba([row(0, 2)])
    assert set(chances["size"]) == {"l", "m", "s"}
    assert sum(chances["size"].values()) == pytest.approx(1)
    assert max(chances["size"], key=lambda name: chances["size"][name]) == "m"
    assert chances["number"]["7"] > 0.9
    *_, measured = measure(model, load(table))
    assert isinstance(measured, EvaluationEnded)
    assert measured.metrics["f1"] > 0.85


@pytest.mark.parametrize("reshaped", [False, True])
def test_an_image_of_numbers_between_0_and_1(reshaped: bool, table: Path, tmp_path: Path) -> None:
    last: list[dict[str, Any]] = [{"kind": "sigmoid"}]
    if reshaped:
        last.append({"kind": "reshape", "shape": list(SHAPE)})
    model, end = trained(
        table,
        tmp_path,
        data=data("bright"),
        network=[dense(30), *last],
        loss={"kind": "mean_squared_error"},
        metrics=[{"kind": "rmse"}],
    )
    assert end.metrics["test/rmse"] < 0.05
    picture = np.array(model.predict([row(0, 0)])[0])
    assert picture.shape == SHAPE
    assert picture[0, 0] < 0.3 < 0.7 < picture[-1, -1]


def test_an_image_of_booleans(table: Path, tmp_path: Path) -> None:
    model, end = trained(
        table,
        tmp_path,
        data=data("mask"),
        network=[dense(30)],
        loss={"kind": "binary_cross_entropy"},
        metrics=[{"kind": "f1"}],
    )
    assert end.metrics["test/f1"] > 0.9
    answer = np.array(model.predict([row(0, 0)])[0])
    assert answer.shape == SHAPE
    assert answer.dtype.kind == "i"
    assert (answer[0, 0], answer[-1, -1]) == (0, 1)
    chances = np.array(model.predict_proba([row(0, 0)])[0])
    assert chances.shape == SHAPE
    assert chances[0, 0] < 0.3 < 0.7 < chances[-1, -1]
    *_, measured = measure(model, load(table))
    assert isinstance(measured, EvaluationEnded)
    assert measured.metrics["f1"] > 0.9


def test_an_image_from_an_image(table: Path, tmp_path: Path) -> None:
    model, _ = trained(
        table,
        tmp_path,
        data={"target": "mask", "features": ["picture"]},
        network=[
            {"kind": "conv2d", "filters": 4, "kernel": 3, "padding": "same"},
            {"kind": "relu"},
            {"kind": "conv2d", "filters": 1, "kernel": 1},
            {"kind": "flatten"},
        ],
        loss={"kind": "binary_cross_entropy"},
    )
    dark, light = np.full((2, *SHAPE, 1), [[[[-2.0]]], [[[2.0]]]])
    answers = model.predict([{"picture": dark.tolist()}, {"picture": light.tolist()}])
    assert np.array(answers[0]).sum() < np.array(answers[1]).sum()


def test_ids_are_embedded(table: Path, tmp_path: Path) -> None:
    model, _ = trained(
        table,
        tmp_path,
        data={"target": "sum", "features": ["ids"], "standardize": False},
        network=[{"kind": "embedding", "vocabulary": 5, "units": 3}, {"kind": "flatten"}, dense(1)],
        loss={"kind": "mean_squared_error"},
    )
    assert len(model.predict([{"ids": 4}, {"ids": 0}])) == 2
    with pytest.raises(InvalidError, match="ids from 0 to 4"):
        model.predict([{"ids": 5}])


@pytest.mark.parametrize(
    ("target", "loss", "units"),
    [
        ("yes", {"kind": "binary_cross_entropy"}, 1),
        (["yes", "big"], {"kind": "binary_cross_entropy"}, 2),
        ("size", {"kind": "cross_entropy"}, 3),
        (["number", "size"], {"kind": "grouped_cross_entropy", "groups": [2, 3]}, 5),
    ],
)
def test_a_class_that_no_training_row_has_is_named(
    target: Any, loss: dict[str, Any], units: int, table: Path, tmp_path: Path
) -> None:
    split = {"train": 0.004, "valid": 0.5, "test": 0.0}  # a single row
    spec = spec_of(
        data={**data(target), "split": split}, network=[dense(units)], loss=loss, batch_size=1
    )
    with pytest.raises(InvalidError, match=r"no training row has the class .* of column '"):
        next(train(spec, table, tmp_path))


def test_a_split_whose_rows_all_weigh_nothing_is_named(table: Path, tmp_path: Path) -> None:
    spec = spec_of(
        data={**data("sum"), "sample_weight": "weight"},  # only one row weighs anything
        network=[dense(1)],
        loss={"kind": "mean_squared_error"},
    )
    with pytest.raises(InvalidError, match="split have a sample weight of 0"):
        next(train(spec, table, tmp_path))


def test_a_single_boolean_is_stratified(table: Path, tmp_path: Path) -> None:
    split = {"train": 0.02, "valid": 0.1, "test": 0.0}
    for seed in range(5):
        spec = spec_of(
            data={**data("yes"), "split": split, "split_seed": seed},
            network=[dense(1)],
            loss={"kind": "binary_cross_entropy"},
            batch_size="full",
            epochs=1,
        )
        events = list(train(spec, table, tmp_path))
        assert any(isinstance(event, EpochEnded) for event in events)


WIDE: list[dict[str, Any]] = [{"kind": "dense", "units": 65_536}, {"kind": "relu"}]


def test_many_rows_through_a_wide_layer_take_bounded_memory() -> None:
    """All rows at once would take 4,000 * 131,072 numbers of 4 bytes: 2 GB."""
    wide = random_model({"a": (2,)}, loss="mean_squared_error", outputs=1, layers=WIDE)
    x = np.random.default_rng(0).normal(size=(4000, 2))
    tracemalloc.start()
    try:
        wide.outputs(x)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * 4 * module.MOST_NUMBERS
    assert kept < 2**20


def test_parts_of_rows_are_predicted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    small = random_model({"a": (3,)}, loss="mean_squared_error", outputs=2, layers=WIDE[1:])
    x = np.random.default_rng(0).normal(size=(50, 3))
    whole = small.outputs(x)
    monkeypatch.setattr(module, "MOST_NUMBERS", 60)
    np.testing.assert_allclose(small.outputs(x), whole, rtol=1e-6)


def test_the_buffers_of_a_small_model_are_kept() -> None:
    small = random_model({"a": (3,)}, loss="mean_squared_error", outputs=2)
    small.outputs(np.zeros((5, 3)))
    assert any(scope.buffer_bytes for scope in small.network.all_scopes())
    small.network.release_buffers()
    assert not any(scope.buffer_bytes for scope in small.network.all_scopes())
