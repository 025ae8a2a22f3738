"""A finished network is compared with the same answer for every row, in what its loss wants."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.data.table.reader import load as read_table
from core.events import TrainingEnded, baseline_warning
from core.nn.losses.quantile import Quantile
from core.spec import JobSpec
from core.training import evaluation
from core.training.dataset import load
from core.training.diagnostics.baseline import _Constant
from core.training.loop import train, train_stack
from tests.core.training.conftest import write

ROWS = 400


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Targets that `x` explains, and targets that it does not."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, ROWS))
    columns = {
        "x": x,
        "number": 50 + 10 * x,
        "noise": 50 + 10 * noise**3,
        "counts": rng.poisson(np.exp(1 + x)),
        "sign": np.where(x > 0, "plus", "minus"),
        "rare": np.where(noise > 1.2, "rare", "usual"),
        "yes": x > 0,
        "chance": noise > 1.2,
        "size": np.where(x > 0.5, "l", np.where(x < -0.5, "s", "m")),
        "weight": np.where(np.arange(ROWS) % 5 == 0, 0.0, 1.0),
    }
    return write(pa.table(columns), tmp_path_factory.mktemp("baseline") / "t.arrow")


def spec_of(target: Any, loss: Any, **changes: Any) -> JobSpec:
    units = changes.pop("units", 1)
    data = {"target": target, "features": ["x"], "standardize_target": True}
    return JobSpec.model_validate(
        {
            "experiment": "e",
            "dataset": "d@1",
            "network": [{"kind": "dense", "units": units}],
            "loss": {"kind": loss} if isinstance(loss, str) else loss,
            "optimizer": {"kind": "adam", "learning_rate": 0.05},
            "epochs": 30,
            **changes,
            "data": data | changes.get("data", {}),
        }
    )


def ended(spec: JobSpec, table: Path, folder: Path) -> TrainingEnded:
    *_, end = train(spec, table, folder)
    assert isinstance(end, TrainingEnded)
    return end


BALANCED = {"kind": "cross_entropy", "class_weights": "balanced"}
DEAD = [
    {"kind": "dense", "units": 2, "weight_initializer": {"kind": "zeros"}},
    {"kind": "relu"},
    {"kind": "dense", "units": 2},
]
"""A network that learns a constant."""
GROUPS = {"kind": "grouped_cross_entropy", "groups": [2, 3]}


@pytest.mark.parametrize(
    ("spec", "metric", "prediction"),
    [
        (spec_of("number", "mean_squared_error"), "test/loss", "mean"),
        (spec_of("number", "sum_of_squares", batch_size=8), "test/loss", "mean"),
        (spec_of("number", "mean_absolute_error"), "test/loss", "median"),
        (spec_of("number", "huber"), "test/loss", "median"),
        (spec_of("number", "log_cosh"), "test/loss", "median"),
        (spec_of("number", {"kind": "quantile", "level": 0.9}), "test/loss", "quantile 0.9"),
        (spec_of("counts", "poisson"), "test/loss", "mean"),
        (spec_of(["number", "noise"], "mean_squared_error", units=2), "test/loss", "mean"),
        (spec_of("sign", "cross_entropy", units=2), "test/accuracy", "majority class"),
        (spec_of("sign", BALANCED, units=2), "test/balanced_accuracy", "majority class"),
        (spec_of("yes", "binary_cross_entropy"), "test/accuracy", "majority class"),
        (spec_of("yes", "hinge"), "test/accuracy", "majority class"),
        (spec_of(["sign", "size"], GROUPS, units=5), "test/loss", "share of each class"),
    ],
    ids=lambda value: value.loss.kind if isinstance(value, JobSpec) else None,
)
def test_what_learned_something_is_better(
    table: Path, tmp_path: Path, spec: JobSpec, metric: str, prediction: str
) -> None:
    baseline = ended(spec, table, tmp_path).details["baseline"]
    assert (baseline["metric"], baseline["prediction"]) == (metric, prediction)
    assert baseline["rows"] == 40
    assert baseline["better"]
    assert baseline_warning(baseline) is None


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (spec_of("noise", "mean_squared_error"), "the mean of the training rows"),
        (spec_of("rare", "cross_entropy", units=2), "the majority class of the training rows"),
        (
            spec_of("sign", BALANCED, network=DEAD),
            "test/balanced_accuracy 0.5, against 0.5 (40 rows)",
        ),
        (spec_of("chance", "binary_cross_entropy"), "the majority class"),
    ],
)
def test_what_learned_nothing_is_warned_about(
    table: Path, tmp_path: Path, spec: JobSpec, said: str
) -> None:
    baseline = ended(spec, table, tmp_path).details["baseline"]
    assert not baseline["better"]
    warning = baseline_warning(baseline)
    assert warning is not None
    assert said in warning


def test_the_baseline_of_numbers_is_the_loss_of_their_mean(table: Path, tmp_path: Path) -> None:
    spec = spec_of("number", "mean_squared_error", data={"sample_weight": "weight"})
    baseline = ended(spec, table, tmp_path).details["baseline"]
    dataset, _ = load(spec, table)
    train_part, test_part = dataset.train, dataset.test
    assert train_part.weight is not None
    assert test_part is not None
    mean = np.average(train_part.y[:, 0], weights=train_part.weight)
    errors = (test_part.y[:, 0] - mean) ** 2
    expected = np.average(errors, weights=test_part.weight)
    assert baseline["baseline_value"] == pytest.approx(expected, rel=1e-5)


def test_the_baseline_of_classes_is_the_majority_of_the_training_rows(
    table: Path, tmp_path: Path
) -> None:
    spec = spec_of("rare", "cross_entropy", units=2, metrics=[{"kind": "accuracy"}])
    end = ended(spec, table, tmp_path)
    dataset, encoding = load(spec, table)
    assert dataset.test is not None
    usual = (encoding.classes[0] or ()).index("usual")
    baseline = end.details["baseline"]
    assert baseline["baseline_value"] == pytest.approx((dataset.test.y == usual).mean())
    assert baseline["value"] == end.metrics["test/accuracy"]


def test_without_test_rows_the_validation_rows_decide(table: Path, tmp_path: Path) -> None:
    split = {"train": 0.8, "valid": 0.2}
    spec = spec_of("number", "mean_squared_error", data={"split": split})
    end = ended(spec, table, tmp_path)
    assert end.details["baseline"]["metric"] == "valid/loss"
    assert end.details["baseline"]["value"] == end.metrics["valid/loss"]


@pytest.mark.parametrize("split", [{"train": 1}, {"train": 0.98, "valid": 0.02}])
def test_few_rows_say_nothing(table: Path, tmp_path: Path, split: dict[str, float]) -> None:
    spec = spec_of("noise", "mean_squared_error", data={"split": split})
    assert ended(spec, table, tmp_path).details["baseline"] == {}
    assert baseline_warning({}) is None


def test_each_network_of_a_stack_has_its_own(table: Path, tmp_path: Path) -> None:
    levels = (0.1, 0.9)
    specs = [spec_of("number", {"kind": "quantile", "level": level}) for level in levels]
    events = [event for event in train_stack(specs, table, tmp_path) if event is not None]
    stacked = [e.details["baseline"] for e in events if isinstance(e, TrainingEnded)]
    assert stacked[0]["baseline_value"] != stacked[1]["baseline_value"]
    for number, spec in enumerate(specs):
        solo = ended(spec, table, tmp_path).details["baseline"]
        assert solo == {**stacked[number], "value": pytest.approx(stacked[number]["value"])}


def test_blocks_of_rows_are_bounded_by_the_outputs_of_all_networks(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [spec_of("size", "cross_entropy", units=3, seed=seed) for seed in range(2)]
    whole = [e for e in train_stack(specs, table, tmp_path) if isinstance(e, TrainingEnded)]
    sizes: list[int] = []

    def forward(network: Any, x: Any) -> Any:
        outputs, back = answer(network, x)
        sizes.append(outputs.size)
        return outputs, back

    answer = _Constant.forward
    monkeypatch.setattr(_Constant, "forward", forward)
    monkeypatch.setattr(evaluation, "NUMBERS", 60)
    parts = [e for e in train_stack(specs, table, tmp_path) if isinstance(e, TrainingEnded)]
    assert max(sizes) == 60
    for one, other in zip(whole, parts, strict=True):
        assert one.details["baseline"] == pytest.approx(other.details["baseline"])


def test_a_comparison_that_cannot_be_made_costs_no_model(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> float:
        raise ArithmeticError("no")

    monkeypatch.setattr(Quantile, "quantile", property(broken))
    end = ended(spec_of("number", "quantile"), table, tmp_path)
    assert end.details["baseline"] == {}
    assert Path(end.path).exists()


def test_a_perfect_model_is_good_enough(table: Path, tmp_path: Path) -> None:
    """The majority cannot be beaten where only its class is held out."""
    part = np.where(np.arange(ROWS) % 4 > 0, "train", "test")
    whole = read_table(table)
    held_out = (part == "test") & (whole.column("sign").to_numpy() == "plus")
    part = np.where(held_out, "test", np.where(part == "train", "train", "none"))
    path = write(whole.append_column("part", pa.array(part)), tmp_path / "parts.arrow")
    split = {"column": "part", "valid": 0}
    spec = spec_of("sign", "cross_entropy", units=2, epochs=100, data={"split": split})
    baseline = ended(spec, path, tmp_path).details["baseline"]
    assert (baseline["value"], baseline["better"]) == (1.0, True)
