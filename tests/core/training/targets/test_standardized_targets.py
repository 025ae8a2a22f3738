"""Number targets are standardized for the network; metrics and predictions are in their units."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_squared_error, r2_score

from core.data.ingest.profile import describe
from core.data.table.reader import load as read_table
from core.data.table.tensors import tensor_array, tensor_field
from core.errors import InvalidError
from core.events import CheckpointSaved, EpochEnded, EvaluationEnded, Event, TrainingEnded
from core.export import to_onnx
from core.spec import JobSpec
from core.spec.defaults import filled
from core.training.dataset import from_table, load
from core.training.loop import train, train_stack
from core.training.model import TrainedModel
from core.training.table_evaluation import measure
from tests.core.training.conftest import write

ROWS = 300
BASE: dict[str, Any] = {
    "experiment": "scales",
    "dataset": "scales@1",
    "data": {"target": "units", "features": ["a", "b"], "standardize_target": True},
    "network": [{"kind": "dense", "units": 8}, {"kind": "tanh"}, {"kind": "dense", "units": 1}],
    "loss": {"kind": "mean_squared_error"},
    "optimizer": {"kind": "adam", "learning_rate": 0.01},
    "metrics": [{"kind": "r2"}, {"kind": "mse"}, {"kind": "mae"}],
    "epochs": 20,
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same target in several units; `weight` is 0 where `spoiled` is not the target."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, ROWS))
    y = 400_000 + 100_000 * (a - b + 0.3 * rng.normal(size=ROWS))
    weight = (np.arange(ROWS) % 10 > 0).astype(float)
    columns = {
        "a": a,
        "b": b,
        "units": y,
        "smaller": y / 2**17,
        "times": 1.7e9 + y / 1000,
        "spoiled": np.where(weight > 0, y, -1e9),
        "weight": weight,
        "constant": np.full(ROWS, 7.5),
        "counts": rng.poisson(3, ROWS),
        "label": np.where(a > 0, "yes", "no"),
        "huge": np.where(np.arange(ROWS) % 2, 1e300, -1e300),
    }
    picture = tensor_field("picture", pa.float32(), (2, 3, 2))
    values = (y[:, None, None, None] * np.array([1.0, 0.001])).astype(np.float32)
    arrays = [pa.array(column) for column in columns.values()]
    fields = [pa.field(name, x.type) for name, x in zip(columns, arrays, strict=True)]
    arrays.append(tensor_array(np.broadcast_to(values, (ROWS, 2, 3, 2)).copy(), picture))
    made = pa.Table.from_arrays(arrays, schema=pa.schema([*fields, picture]))
    return write(made, tmp_path_factory.mktemp("scales") / "scales.arrow")


def spec_of(data: dict[str, Any] | None = None, **changes: Any) -> JobSpec:
    return JobSpec.model_validate({**BASE, "data": {**BASE["data"], **(data or {})}, **changes})


def events_of(spec: JobSpec, table: Path, folder: Path, **more: Any) -> list[Event]:
    folder.mkdir(exist_ok=True)
    return [event for event in train(spec, table, folder, **more) if event is not None]


def end_of(events: list[Event], network: int = 0) -> TrainingEnded:
    (end,) = [e for e in events if isinstance(e, TrainingEnded) and e.network == network]
    return end


def histories(events: list[Event], network: int = 0) -> list[dict[str, float]]:
    return [e.metrics for e in events if isinstance(e, EpochEnded) and e.network == network]


def rows_and_truth(table: Path, spec: JobSpec) -> tuple[list[dict[str, float]], np.ndarray]:
    """The raw test rows of a job, and their targets in the units of the data."""
    whole = read_table(table)
    dataset, _ = load(spec, table)
    assert dataset.test is not None
    chosen = whole.take(pa.array(dataset.test.numbers))
    truth = np.stack([chosen.column(name).to_numpy() for name in spec.data.targets], axis=1)
    return chosen.select(["a", "b"]).to_pylist(), truth


def test_the_unit_of_the_target_does_not_matter(table: Path, tmp_path: Path) -> None:
    """A power of two between the units: the same bits on the scale that is trained on."""
    units = end_of(events_of(spec_of(), table, tmp_path / "1"))
    smaller = end_of(events_of(spec_of({"target": "smaller"}), table, tmp_path / "2"))
    assert units.weights_digest == smaller.weights_digest
    assert units.metrics["test/r2"] == pytest.approx(smaller.metrics["test/r2"], rel=1e-12)
    assert units.metrics["test/r2"] > 0.8
    assert units.metrics["test/loss"] == smaller.metrics["test/loss"] < 1
    assert units.metrics["test/mae"] == pytest.approx(smaller.metrics["test/mae"] * 2**17)


def test_diabetes_is_learned_in_its_own_units(tmp_path: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    columns = {f"x{index}": x[:, index] for index in range(x.shape[1])}
    path = write(pa.table({**columns, "y": y}), tmp_path / "diabetes.arrow")
    spec = JobSpec.model_validate(
        {
            **BASE,
            "data": {"target": "y", "split_seed": 1},
            "network": [{"kind": "dense", "units": 16}, {"kind": "relu"}, *BASE["network"][2:]],
            "optimizer": {"kind": "adam", "learning_rate": 0.001},
            "epochs": 60,
        }
    )
    assert end_of(events_of(filled(spec, describe(path)), path, tmp_path)).metrics["test/r2"] > 0.3
    assert end_of(events_of(spec, path, tmp_path)).metrics["test/r2"] < 0


def test_metrics_predictions_and_intervals_are_in_units(table: Path, tmp_path: Path) -> None:
    spec = spec_of({"target": ["units", "smaller"]}, network=[{"kind": "dense", "units": 2}])
    end = end_of(events_of(spec, table, tmp_path))
    model = TrainedModel.load(Path(end.path))
    rows, truth = rows_and_truth(table, spec)
    answers = model.predict(rows)
    predicted = np.array([[answer[name] for name in spec.data.targets] for answer in answers])
    assert end.metrics["test/mse"] == pytest.approx(mean_squared_error(truth, predicted), rel=1e-5)
    assert end.metrics["test/r2"] == pytest.approx(r2_score(truth, predicted), abs=1e-5)
    outputs = model.outputs(model.rows_to_array(rows))
    for name, errors in zip(spec.data.targets, np.abs(truth - predicted).T, strict=True):
        ends = model.intervals(outputs, 0.9)
        widths = np.array([entry["high"][name] - entry["low"][name] for entry in ends])
        assert widths / 2 == pytest.approx(np.sort(errors)[int(np.ceil(31 * 0.9)) - 1], rel=1e-4)


def test_an_evaluation_measures_in_units_and_the_loss_as_in_training(
    table: Path, tmp_path: Path
) -> None:
    spec = spec_of()
    end = end_of(events_of(spec, table, tmp_path))
    dataset, _ = load(spec, table)
    assert dataset.test is not None
    held_out = read_table(table).take(pa.array(dataset.test.numbers))
    *_, ended = measure(TrainedModel.load(Path(end.path)), held_out, ("label",))
    assert isinstance(ended, EvaluationEnded)
    for name in ("r2", "mse", "mae", "loss"):
        assert ended.metrics[name] == pytest.approx(end.metrics[f"test/{name}"], rel=1e-5)
    assert all(entry["metrics"]["mae"] > 1000 for entry in ended.slices)


@pytest.mark.parametrize("target", ["units", ["units", "smaller"]])
def test_onnx_predicts_in_units(table: Path, tmp_path: Path, target: Any) -> None:
    units = 1 if target == "units" else 2
    spec = spec_of({"target": target}, network=[{"kind": "dense", "units": units}])
    model = TrainedModel.load(Path(end_of(events_of(spec, table, tmp_path)).path))
    rows, _ = rows_and_truth(table, spec)
    exported = to_onnx(model).serialized()
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feed = {name: np.array([row[name] for row in rows]) for name in ("a", "b")}
    scored = np.stack(session.run(names, feed), axis=1)
    own = model.outputs(model.rows_to_array(rows))
    assert own.mean() > 100_000
    np.testing.assert_allclose(scored, own, rtol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        {"kind": "huber"},
        {"kind": "quantile", "level": 0.3},
        {"kind": "log_cosh"},
        {"kind": "mean_absolute_error"},
        {"kind": "half_squared_error"},
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_each_loss_of_numbers_learns_large_targets(
    table: Path, tmp_path: Path, loss: dict[str, Any], precision: str
) -> None:
    spec = spec_of(loss=loss, precision=precision, epochs=60)
    assert end_of(events_of(spec, table, tmp_path)).metrics["test/r2"] > 0.7


def test_targets_that_float32_would_round_are_standardized_first(
    table: Path, tmp_path: Path
) -> None:
    """Seconds since 1970 are multiples of 128 in float32; these differ by about 100."""
    end = end_of(events_of(spec_of({"target": "times"}, epochs=60), table, tmp_path))
    assert end.metrics["test/r2"] > 0.8
    assert end.metrics["test/mae"] < 60


def test_each_in_a_stack_equals_its_solo_training(table: Path, tmp_path: Path) -> None:
    rates = (0.01, 0.03)
    several = [
        spec_of(seed=seed, optimizer={"kind": "adam", "learning_rate": rate})
        for seed, rate in enumerate(rates)
    ]
    (tmp_path / "stack").mkdir()
    together = [e for e in train_stack(several, table, tmp_path / "stack") if e is not None]
    for number, spec in enumerate(several):
        solo = events_of(spec, table, tmp_path / str(number))
        assert end_of(together, number).weights_digest == end_of(solo).weights_digest
        assert end_of(together, number).metrics == end_of(solo).metrics
        assert histories(together, number) == histories(solo)
        models = [
            TrainedModel.load(Path(end_of(events, n).path))
            for events, n in ((together, number), (solo, 0))
        ]
        row = {"a": 1.0, "b": -1.0}
        assert models[0].predict([row]) == models[1].predict([row])


def test_rows_that_are_read_from_the_disk_have_the_same_targets(
    table: Path, tmp_path: Path
) -> None:
    spec = spec_of(order="sequential")
    held, _ = load(spec, table)
    streamed, encoding = load(spec, table, 3_000)
    assert streamed.memory_bytes == 3_000
    np.testing.assert_array_equal(held.train.y, streamed.train.y)
    assert encoding.target_standardizer is not None
    solo = end_of(events_of(spec, table, tmp_path / "1"))
    read = end_of(events_of(spec, table, tmp_path / "2", data_memory_bytes=3_000))
    assert read.metrics["test/mae"] == pytest.approx(solo.metrics["test/mae"], rel=1e-4)


def test_a_resumed_run_is_bit_equal(table: Path, tmp_path: Path) -> None:
    spec = spec_of(checkpoint={"every_steps": 33}, early_stopping={"patience": 50})
    whole = events_of(spec, table, tmp_path / "whole")
    saved = [event for event in whole if isinstance(event, CheckpointSaved)]
    again = events_of(spec, table, tmp_path / "again", resume=Path(saved[-1].path))
    assert end_of(again).weights_digest == end_of(whole).weights_digest
    assert end_of(again).metrics == end_of(whole).metrics
    assert histories(again) == histories(whole)[-len(histories(again)) :]


def test_rows_of_weight_zero_do_not_set_the_scale(table: Path) -> None:
    data = {"target": "spoiled", "sample_weight": "weight"}
    _, encoding = from_table(spec_of(data), read_table(table))
    dataset, _ = load(spec_of(), table)
    numbers = np.asarray(dataset.train.numbers)
    kept = read_table(table).column("units").to_numpy()[numbers[numbers % 10 > 0]]
    learned = encoding.target_standardizer
    assert learned is not None
    np.testing.assert_allclose((learned.mean[0], learned.scale[0]), (kept.mean(), kept.std()))


def test_each_column_has_its_scale_and_a_constant_one_is_only_shifted(table: Path) -> None:
    spec = spec_of({"target": ["units", "constant"]}, network=[{"kind": "dense", "units": 2}])
    dataset, encoding = load(spec, table)
    np.testing.assert_allclose(dataset.train.y.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(dataset.train.y.std(axis=0), (1, 0), atol=1e-6)
    assert encoding.target_standardizer is not None
    assert encoding.target_standardizer.mean[1] == 7.5
    assert encoding.target_standardizer.scale[1] == 1


def test_the_channels_of_a_picture_have_a_scale_each(table: Path, tmp_path: Path) -> None:
    spec = spec_of({"target": "picture"}, network=[{"kind": "dense", "units": 12}])
    end = end_of(events_of(spec, table, tmp_path))
    model = TrainedModel.load(Path(end.path))
    assert end.metrics["test/r2"] > 0.5
    answer = np.array(model.predict([{"a": 0.0, "b": 0.0}])[0])
    assert answer.shape == (2, 3, 2)
    np.testing.assert_allclose(answer[..., 0] / answer[..., 1], 1000, rtol=0.1)


def test_numbers_that_are_too_far_apart_are_refused(table: Path) -> None:
    with pytest.raises(InvalidError, match="standardize_target to false"):
        load(spec_of({"target": "huge"}), table)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": {"kind": "poisson"}, "data": {"target": "counts"}},
        {"network": [{"kind": "dense", "units": 1}, {"kind": "sigmoid"}]},
        {
            "loss": {"kind": "cross_entropy"},
            "metrics": [],
            "data": {"target": "label"},
            "network": [{"kind": "dense", "units": 2}],
        },
        {"data": {"standardize_target": False}},
    ],
)
def test_other_targets_and_limited_outputs_are_left_alone(
    table: Path, changes: dict[str, Any]
) -> None:
    spec = spec_of(**{"data": {}, **changes})
    unscaled = spec.model_copy(
        update={"data": spec.data.model_copy(update={"standardize_target": False})}
    )
    (dataset, encoding), (plain, _) = load(spec, table), load(unscaled, table)
    assert encoding.target_standardizer is None
    assert dataset.train.y.dtype == plain.train.y.dtype
    np.testing.assert_array_equal(dataset.train.y, plain.train.y)


def test_a_stored_spec_without_the_field_trains_on_the_numbers_of_the_table(table: Path) -> None:
    document = spec_of().model_dump(mode="json")
    del document["data"]["standardize_target"]
    dataset, encoding = load(JobSpec.model_validate(document), table)
    whole = read_table(table).column("units").to_numpy()
    expected = whole[np.asarray(dataset.train.numbers)].astype(np.float32)
    np.testing.assert_array_equal(dataset.train.y[:, 0], expected)
    assert (dataset.train.standardizer, encoding.target_standardizer) == (None, None)
