"""Checkpoints are written whole or not at all, and resuming from one is bit-equal."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pydantic import TypeAdapter

import core.nn.optimizers
import core.nn.schedules  # noqa: F401
from core.errors import InvalidError
from core.events import CheckpointSaved, EpochEnded, Event, StepEnded, TrainingEnded
from core.family import members
from core.nn.optimizer import Optimizer
from core.nn.schedule import Schedule
from core.spec import JobSpec
from core.training.checkpoint import read, save
from core.training.loop import train

NUMBERS = 1_000_000
WRITES_FOREVER = f"""
import itertools, sys
from pathlib import Path
import numpy as np
from core.training.checkpoint import save
path = Path(sys.argv[1])
for version in itertools.count(1):
    save(path, {{"weights": np.full({NUMBERS}, version, np.float32)}}, {{"version": str(version)}})
    print(version, flush=True)
"""


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    digest = save(path, {"weights": np.arange(5.0)}, {"format": "x"})
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [file.name for file in tmp_path.iterdir()] == ["one.safetensors"]
    arrays, metadata = read(path)
    assert arrays["weights"].tolist() == [0, 1, 2, 3, 4]
    assert metadata == {"format": "x"}


def test_a_writer_that_is_killed_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    with subprocess.Popen(
        [sys.executable, "-c", WRITES_FOREVER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        # It is killed at a moment nobody chose, most likely in the middle of its next version.
        written = [int(writer.stdout.readline()) for _ in range(5)]
        writer.send_signal(signal.SIGKILL)
    arrays, metadata = read(path)
    version = int(metadata["version"])
    assert version >= written[-1]
    assert arrays["weights"].shape == (NUMBERS,)
    assert (arrays["weights"] == version).all()


def test_a_write_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save(path, {"weights": np.zeros(3)}, {})
    (tmp_path / "one.safetensors.partial").mkdir()  # nothing can be written there
    with pytest.raises(Exception, match=r"partial|directory|Is a"):
        save(path, {"weights": np.ones(3)}, {})
    assert read(path)[0]["weights"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("keep", [0, 7, 50, -1])
def test_a_file_cut_short_is_refused(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save(path, {"weights": np.arange(100.0)}, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InvalidError, match="damaged"):
        read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="nowhere"):
        read(tmp_path / "nowhere.safetensors")


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
    for kind, one in members(cast("Any", Optimizer)).items():
        for number, example in enumerate(one.examples()):
            found[f"{kind}-{number}"] = {"optimizer": json_of(Optimizer, example)}
    for kind, one in members(cast("Any", Schedule)).items():
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
