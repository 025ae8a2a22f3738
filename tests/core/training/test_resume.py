"""Going on from a checkpoint at any step is bit-equal to never having stopped: every member."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import core.nn.optimizers
import core.nn.schedules  # noqa: F401
from core.events import CheckpointSaved, EpochEnded, Event, StepEnded, TrainingEnded
from core.family import members
from core.nn.optimizer import Optimizer
from core.nn.schedule import Schedule
from core.spec import JobSpec
from core.training.loop import train

DENSE: list[dict[str, Any]] = [
    {"kind": "dense", "units": 4},
    {"kind": "tanh"},
    {"kind": "dense", "units": 1},
]
BASE: dict[str, Any] = {
    "experiment": "line",
    "dataset": "line@1",
    "data": {"target": "y", "features": ["a", "b"]},
    "network": DENSE,
    "loss": {"kind": "mean_squared_error"},
    "batch_size": 41,
    "epochs": 2,
    "report_steps": 1,
    "metrics": [{"kind": "r2"}],
    "seed": 5,
}
SEQUENCE = {"kind": "reshape", "shape": [2, 1]}
LAYERS: dict[str, list[dict[str, Any]]] = {
    "dropout": [{"kind": "dropout", "rate": 0.4}],
    "batch_norm": [{"kind": "dense", "units": 4}, {"kind": "batch_norm"}],
    "layer_norm": [{"kind": "dense", "units": 4}, {"kind": "layer_norm"}],
    "prelu": [{"kind": "dense", "units": 4}, {"kind": "prelu"}],
    "residual": [
        {
            "kind": "residual",
            "layers": [
                {"kind": "dense", "units": 2},
                {"kind": "batch_norm"},
                {"kind": "dropout", "rate": 0.2},
            ],
        }
    ],
    "conv1d": [SEQUENCE, {"kind": "conv1d", "filters": 3, "kernel": 2}, {"kind": "flatten"}],
    "recurrent": [SEQUENCE, {"kind": "recurrent", "units": 3}],
    "gru": [SEQUENCE, {"kind": "gru", "units": 3}],
    "lstm": [SEQUENCE, {"kind": "lstm", "units": 3}],
}


def json_of(family: Any, one: Any) -> Any:
    return TypeAdapter(family).dump_python(one, mode="json")


def cases() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for kind, one in members(Optimizer).items():
        for number, example in enumerate(one.examples()):
            found[f"{kind}-{number}"] = {"optimizer": json_of(Optimizer, example)}
    for kind, one in members(Schedule).items():
        for number, example in enumerate(one.examples()):
            found[f"{kind}-{number}"] = {"schedule": json_of(Schedule, example)}
    for name, layers in LAYERS.items():
        found[name] = {"network": [*layers, {"kind": "dense", "units": 1}]}
    augmented = {**BASE["data"], "augment": [{"kind": "noise", "deviation": 0.2}]}
    found["augment"] = {"data": augmented}
    return found


CASES = cases()


def events_of(spec: JobSpec, table: Path, folder: Path, **more: Any) -> list[Event]:
    folder.mkdir(exist_ok=True)
    return [event for event in train(spec, table, folder, **more) if event is not None]


def facts(events: list[Event], *, after: CheckpointSaved | None = None) -> list[Any]:
    """What may not differ: every reported number, and the weights at the end."""
    step, epoch = (after.step, after.epoch) if after else (0, 0)
    found: list[Any] = []
    for event in events:
        if (isinstance(event, StepEnded) and event.step > step) or (
            isinstance(event, EpochEnded) and event.epoch > epoch
        ):
            found.append((event.step, event.epoch, event.metrics))
        elif isinstance(event, TrainingEnded):
            found.append((event.step, event.metrics, event.weights_digest, event.reason))
    return found


@pytest.mark.parametrize("name", CASES)
def test_every_member_goes_on_as_if_never_stopped(name: str, line: Path, tmp_path: Path) -> None:
    spec = JobSpec.model_validate({**BASE, **CASES[name], "checkpoint": {"every_steps": 1}})
    whole = events_of(spec, line, tmp_path / "whole")
    saved = [event for event in whole if isinstance(event, CheckpointSaved)]
    assert [one.step for one in saved] == list(range(1, 9))
    for one in saved:
        resumed = events_of(spec, line, tmp_path / "resumed", resume=Path(one.path))
        expected = facts(whole, after=one)
        assert len(expected) > 1
        assert facts(resumed) == expected
