"""Training from a spec and a stored table: what is promised of its events, resumption and ends."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError

from core.errors import InvalidError, TrainingError
from core.events import (
    CheckpointFailed,
    CheckpointSaved,
    EpochEnded,
    Event,
    StepEnded,
    TrainingEnded,
)
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.training import checkpoint
from core.training.loop import train
from core.training.model import TrainedModel

LINE: dict[str, Any] = {
    "experiment": "line",
    "dataset": "line@1",
    "data": {"target": "y", "features": ["a", "b"]},
    "network": [{"kind": "dense", "units": 1}],
    "loss": {"kind": "mean_squared_error"},
    "optimizer": {"kind": "sgd", "learning_rate": 0.1},
    "epochs": 40,
}


def job(base: dict[str, Any], **changes: Any) -> JobSpec:
    return JobSpec.model_validate({**base, **changes})


def events_of(spec: JobSpec, table: Path, folder: Path, **more: Any) -> list[Event]:
    folder.mkdir(exist_ok=True, parents=True)
    return [event for event in train(spec, table, folder, **more) if event is not None]


def comparable(events: list[Event]) -> list[Any]:
    """All but checkpoints, which come by the clock, and file names."""
    kept = [e for e in events if not isinstance(e, CheckpointSaved | TrainingEnded)]
    end = events[-1]
    assert isinstance(end, TrainingEnded)
    return [*kept, (end.reason, end.step, end.metrics, end.weights_digest)]


def test_the_default_network_reads_digits(digits: Path, tmp_path: Path) -> None:
    end = events_of(job(DIGITS), digits, tmp_path)[-1]
    assert isinstance(end, TrainingEnded)
    assert end.reason == "epochs"
    assert end.metrics["test/accuracy"] >= 0.96
    assert end.epoch == 30


def test_a_line_is_found_exactly(line: Path, tmp_path: Path) -> None:
    events_of(job(LINE), line, tmp_path)
    model = TrainedModel.load(tmp_path / "model.safetensors")
    rows = [{"a": 1.0, "b": 2.0}, {"a": 0.0, "b": 0.0}]
    assert np.allclose(model.predict(rows), [0.0, 1.0], atol=1e-3)


def test_equal_seeds_give_equal_events_and_other_seeds_others(digits: Path, tmp_path: Path) -> None:
    spec = job(DIGITS, epochs=2)
    first = comparable(events_of(spec, digits, tmp_path / "1"))
    assert first == comparable(events_of(spec, digits, tmp_path / "2"))
    other = comparable(events_of(job(DIGITS, epochs=2, seed=8), digits, tmp_path / "3"))
    assert other[-1] != first[-1]


VARIANTS: dict[str, dict[str, Any]] = {
    "adam": {},
    "momentum": {"optimizer": {"kind": "sgd", "momentum": 0.9, "learning_rate": 0.01}},
    "accumulate": {"accumulate": 3},
    "averaging": {"averaging": 0.9},
    "early stopping": {"early_stopping": {"metric": "valid/accuracy", "patience": 3}},
    "regularized": {"regularization": {"l1": 1e-4, "l2": 1e-3, "clip_norm": 1.0, "max_norm": 2.0}},
    "dropout": {
        "network": [
            {"kind": "dense", "units": 16},
            {"kind": "batch_norm"},
            {"kind": "dropout", "rate": 0.3},
            {"kind": "dense", "units": 10},
        ]
    },
    "warm-up and plateau": {
        "schedule": {"kind": "warm_up", "steps": 3, "then": {"kind": "reduce_on_plateau"}}
    },
    "sequential": {"order": "sequential"},
    "float64": {"precision": "float64"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_resuming_at_any_step_equals_never_having_stopped(
    variant: str, digits: Path, tmp_path: Path
) -> None:
    spec = job(DIGITS, epochs=2, batch_size=200, checkpoint={"every_steps": 1}, **VARIANTS[variant])
    whole = events_of(spec, digits, tmp_path / "whole")
    saved = [event for event in whole if isinstance(event, CheckpointSaved)]
    assert len(saved) >= 4
    for one in saved:
        resumed = events_of(spec, digits, tmp_path / "resumed", resume=Path(one.path))
        later = [e for e in comparable(whole)[1:] if _after(e, one)]
        assert comparable(resumed)[1:] == later


def _after(event: Any, checkpoint: CheckpointSaved) -> bool:
    if isinstance(event, tuple):
        return True
    if isinstance(event, EpochEnded):
        return event.step >= checkpoint.step and event.epoch > checkpoint.epoch
    return bool(event.step > checkpoint.step)


def test_a_caller_can_ask_for_a_checkpoint_and_stop(digits: Path, tmp_path: Path) -> None:
    events = train(job(DIGITS, epochs=10_000), digits, tmp_path)
    while next(events) is not None:
        pass
    answer = events.send("checkpoint")
    assert isinstance(answer, CheckpointSaved)
    assert Path(answer.path).exists()
    events.close()
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("I/O error: No space left on device (os error 28)"),
        OSError(errno.EMFILE, "Too many open files"),
        MemoryError(),
    ],
)
def test_a_checkpoint_that_the_machine_cannot_write_ends_nothing_and_the_next_is_tried(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    spec = job(DIGITS, epochs=2, batch_size=200, checkpoint={"every_steps": 4})
    calm = events_of(spec, digits, tmp_path / "calm")
    save, failures = checkpoint.save, [error, error]

    def failing(path: Path, *given: Any, **named: Any) -> str:
        if failures:
            raise failures.pop()
        return save(path, *given, **named)

    monkeypatch.setattr(checkpoint, "save", failing)
    events = events_of(spec, digits, tmp_path / "full")
    failed = [event for event in events if isinstance(event, CheckpointFailed)]
    saved = [event for event in events if isinstance(event, CheckpointSaved)]
    assert len(failed) == 2
    assert f"step {failed[0].step} was not written" in failed[0].detail
    assert saved
    assert saved[0].step > failed[1].step > failed[0].step
    assert comparable([e for e in events if not isinstance(e, CheckpointFailed)]) == comparable(
        calm
    )


def test_an_error_of_ours_in_a_checkpoint_is_not_swallowed(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: Any) -> str:
        raise ValueError("a mistake")

    monkeypatch.setattr(checkpoint, "save", wrong)
    with pytest.raises(ValueError, match="a mistake"):
        events_of(job(DIGITS, checkpoint={"every_steps": 1}), digits, tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epochs": 3}, "epochs"),
        ({"max_steps": 7}, "steps"),
        ({"epochs": 1_000_000, "max_seconds": 0.2}, "seconds"),
        ({"epochs": 1000, "target_loss": 0.5}, "target"),
        ({"epochs": 1000, "early_stopping": {"patience": 2, "tolerance": 10.0}}, "patience"),
    ],
)
def test_every_stop_says_why(
    changes: dict[str, Any], reason: str, line: Path, tmp_path: Path
) -> None:
    end = events_of(job({**LINE, "epochs": 5}, **changes), line, tmp_path)[-1]
    assert isinstance(end, TrainingEnded)
    assert end.reason == reason


def test_max_steps_are_counted_exactly(line: Path, tmp_path: Path) -> None:
    assert events_of(job(LINE, max_steps=7), line, tmp_path)[-1].step == 7


def test_early_stopping_ends_with_the_best_weights(line: Path, tmp_path: Path) -> None:
    spec = job(
        LINE,
        epochs=60,
        optimizer={"kind": "sgd", "learning_rate": 0.9, "momentum": 0.9},
        early_stopping={"metric": "valid/loss", "patience": 4},
    )
    events = events_of(spec, line, tmp_path)
    epochs = [e.metrics["valid/loss"] for e in events if isinstance(e, EpochEnded)]
    end = events[-1]
    assert isinstance(end, TrainingEnded)
    assert end.metrics["valid/loss"] == pytest.approx(min(epochs))
    assert epochs[end.details["best_epoch"] - 1] == min(epochs)


def test_a_loss_that_is_no_number_names_layer_and_step(line: Path, tmp_path: Path) -> None:
    spec = job(LINE, optimizer={"kind": "sgd", "learning_rate": 1e30}, epochs=100)
    with pytest.raises(TrainingError, match=r"of network\[0\] \(dense\) .* not finite at step \d+"):
        events_of(spec, line, tmp_path)


def test_a_checkpoint_of_another_network_is_refused(line: Path, tmp_path: Path) -> None:
    spec = job(LINE, checkpoint={"every_steps": 5})
    saved = next(e for e in events_of(spec, line, tmp_path) if isinstance(e, CheckpointSaved))
    wider = job(LINE, network=[{"kind": "dense", "units": 3}, {"kind": "dense", "units": 1}])
    with pytest.raises(InvalidError, match="another network"):
        events_of(wider, line, tmp_path / "wider", resume=Path(saved.path))


def test_a_damaged_checkpoint_is_refused(line: Path, tmp_path: Path) -> None:
    spec = job(LINE, checkpoint={"every_steps": 5})
    saved = next(e for e in events_of(spec, line, tmp_path) if isinstance(e, CheckpointSaved))
    path = Path(saved.path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InvalidError, match="damaged"):
        events_of(spec, line, tmp_path / "again", resume=path)


@pytest.mark.parametrize("batch_size", [1, 7, "full"])
def test_batches_of_every_size(batch_size: Any, line: Path, tmp_path: Path) -> None:
    events = events_of(job(LINE, epochs=2, batch_size=batch_size), line, tmp_path)
    steps = {1: 160, 7: 23, "full": 1}[batch_size]
    assert [e.step for e in events if isinstance(e, EpochEnded)] == [steps, 2 * steps]


def test_reports_come_as_often_as_asked(line: Path, tmp_path: Path) -> None:
    events = events_of(job(LINE, epochs=2, report_steps=2), line, tmp_path)
    steps = [e for e in events if isinstance(e, StepEnded)]
    assert [e.step for e in steps if "train/batch_loss" in e.metrics] == [2, 4, 6, 8, 10]


def test_labels_of_text_come_back_as_text(line: Path, tmp_path: Path) -> None:
    spec = job(
        LINE,
        data={"target": "big", "features": ["a", "b"]},
        network=[{"kind": "dense", "units": 1}],
        loss={"kind": "binary_cross_entropy"},
        metrics=[{"kind": "accuracy"}],
        epochs=60,
    )
    end = events_of(spec, line, tmp_path)[-1]
    assert isinstance(end, TrainingEnded)
    assert end.metrics["test/accuracy"] > 0.9
    model = TrainedModel.load(tmp_path / "model.safetensors")
    assert model.predict([{"a": 3, "b": 0}, {"a": -3, "b": 0}]) == ["yes", "no"]
    chances = model.predict_proba([{"a": 3, "b": 0}])[0]
    assert chances["yes"] > 0.9
    assert chances["yes"] + chances["no"] == pytest.approx(1)
