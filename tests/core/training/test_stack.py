"""A network trained in a stack equals the same network trained alone, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.events import EpochEnded, Event, TrainingEnded, TrainingFailed
from core.nn.stack import StackError
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.training.loop import train, train_stack
from core.training.run import Leave
from tests.core.training.conftest import write

BASE: dict[str, Any] = {**DIGITS, "epochs": 3, "batch_size": 100}


def specs(*changes: dict[str, Any]) -> list[JobSpec]:
    return [JobSpec.model_validate({**BASE, **change}) for change in changes]


def alone(spec: JobSpec, table: Path, folder: Path) -> list[Event]:
    folder.mkdir()
    return [event for event in train(spec, table, folder) if event is not None]


def digest(events: list[Event], network: int = 0) -> str:
    ends = [e for e in events if isinstance(e, TrainingEnded) and e.network == network]
    assert len(ends) == 1
    return ends[0].weights_digest


def metrics(events: list[Event], network: int = 0) -> list[dict[str, float]]:
    return [e.metrics for e in events if isinstance(e, EpochEnded) and e.network == network]


def test_each_equals_its_solo_training(digits: Path, tmp_path: Path) -> None:
    several = specs(
        {"seed": 1},
        {"seed": 2, "optimizer": {"kind": "adam", "learning_rate": 0.01, "beta1": 0.8}},
        {"seed": 3, "optimizer": {"kind": "adam", "learning_rate": 0.0003}},
    )
    together = [e for e in train_stack(several, digits, tmp_path) if e is not None]
    for number, spec in enumerate(several):
        solo = alone(spec, digits, tmp_path / str(number))
        assert digest(together, number) == digest(solo)
        assert metrics(together, number) == metrics(solo)


def test_dropout_decay_and_schedules_may_differ(digits: Path, tmp_path: Path) -> None:
    def network(rate: float) -> list[dict[str, Any]]:
        return [
            {"kind": "dense", "units": 16},
            {"kind": "relu"},
            {"kind": "dropout", "rate": rate},
            {"kind": "dense", "units": 10},
        ]

    several = specs(
        {"seed": 1, "network": network(0.1), "regularization": {"weight_decay": 0.01}},
        {"seed": 2, "network": network(0.5), "regularization": {"weight_decay": 0.1}},
    )
    together = [e for e in train_stack(several, digits, tmp_path) if e is not None]
    for number, spec in enumerate(several):
        solo = alone(spec, digits, tmp_path / str(number))
        assert digest(together, number) == digest(solo)


def test_members_stop_by_themselves_and_the_rest_goes_on(digits: Path, tmp_path: Path) -> None:
    stop = {"early_stopping": {"metric": "valid/loss", "patience": 1}, "epochs": 25}
    several = specs(
        {"seed": 1, **stop, "optimizer": {"kind": "adam", "learning_rate": 0.05}},
        {"seed": 2, **stop, "optimizer": {"kind": "adam", "learning_rate": 0.0005}},
    )
    together = [e for e in train_stack(several, digits, tmp_path) if e is not None]
    ends = {e.network: e.epoch for e in together if isinstance(e, TrainingEnded)}
    assert ends[0] < ends[1]
    for number, spec in enumerate(several):
        assert digest(together, number) == digest(alone(spec, digits, tmp_path / str(number)))


def test_one_that_explodes_leaves_the_others_alone(digits: Path, tmp_path: Path) -> None:
    several = specs(
        {"seed": 1, "optimizer": {"kind": "sgd", "learning_rate": 1e30}},
        {"seed": 2, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
    )
    together = [e for e in train_stack(several, digits, tmp_path) if e is not None]
    failed = [e for e in together if isinstance(e, TrainingFailed)]
    assert [e.network for e in failed] == [0]
    assert "not finite at step" in failed[0].detail
    assert digest(together, 1) == digest(alone(several[1], digits, tmp_path / "solo"))


def test_a_pruned_member_leaves_after_its_epoch(digits: Path, tmp_path: Path) -> None:
    several = specs({"seed": 1, "epochs": 400}, {"seed": 2, "epochs": 400})
    events = train_stack(several, digits, tmp_path)
    seen: list[Event] = []
    pruned_at = None
    for event in events:
        if event is None and pruned_at is None:
            answer = events.send(Leave(0))
            pruned_at = len(seen)
            if answer is not None:
                seen.append(answer)
        elif event is not None:
            seen.append(event)
    epochs = {n: sum(isinstance(e, EpochEnded) and e.network == n for e in seen) for n in (0, 1)}
    assert epochs[0] < epochs[1] == 400
    assert digest(seen, 1) == digest(alone(several[1], digits, tmp_path / "solo"))


def test_other_shapes_are_refused(digits: Path, tmp_path: Path) -> None:
    several = specs({}, {"network": [{"kind": "dense", "units": 10}]})
    with pytest.raises(StackError):
        next(train_stack(several, digits, tmp_path))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "units", "names"),
    [
        ("mean_squared_error", 1, ["mse", "mae", "mape", "rmse", "r2"]),
        ("cross_entropy", 2, ["accuracy", "brier", "log_loss", "mcc", "f1", "roc_auc"]),
        ("binary_cross_entropy", 1, ["accuracy", "balanced_accuracy", "mcc", "pr_auc"]),
    ],
)
def test_weighted_rows_are_measured_as_alone(
    loss: str, units: int, names: list[str], precision: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=600)
    columns = {"x": x, "weight": rng.uniform(0.1, 2, 600), "y": (x + rng.normal(size=600) > 0) * 1}
    table = write(pa.table(columns), tmp_path / "table.arrow")
    several = [
        JobSpec.model_validate(
            {
                "experiment": "e",
                "dataset": "d",
                "data": {"target": "y", "sample_weight": "weight"},
                "network": [{"kind": "dense", "units": units}],
                "loss": {"kind": loss},
                "metrics": [{"kind": name} for name in names],
                "precision": precision,
                "epochs": 3,
                "seed": seed,
            }
        )
        for seed in (1, 2, 3)
    ]
    together = [e for e in train_stack(several, table, tmp_path) if e is not None]
    for number, spec in enumerate(several):
        solo = alone(spec, table, tmp_path / str(number))
        assert metrics(together, number) == metrics(solo)
        assert digest(together, number) == digest(solo)
