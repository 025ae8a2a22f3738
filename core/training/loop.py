"""The loop: training as a generator of events. Whoever pulls it controls it."""

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from core.data import columns
from core.errors import TrainingError
from core.events import (
    CheckpointSaved,
    EpochEnded,
    Event,
    StepEnded,
    TrainingEnded,
    TrainingStarted,
)
from core.nn.array import Array, to_host
from core.spec import JobSpec
from core.training import checkpoint
from core.training.diagnosis import diagnose
from core.training.evaluation import evaluate
from core.training.model import TrainedModel, weights_digest
from core.training.problem import Encoding, Problem, pose
from core.training.stopping import Judge
from core.training.trainer import Trainer

Command: TypeAlias = Literal["checkpoint"]
Events: TypeAlias = Generator[Event | None, Command | None, None]

BREATH_SECONDS = 0.1
"""The loop pauses at least this often, with None, so that its caller can speak."""


def train(
    spec: JobSpec,
    table_path: Path,
    workdir: Path,
    *,
    resume: Path | None = None,
    checkpoint_seconds: float = 30.0,
) -> Events:
    """Train what `spec` says on the dataset version stored at `table_path`.

    Yields events, and None now and then so that the caller can act; `send("checkpoint")` has one
    saved at once. Ends with TrainingEnded, whose `path` is a model that `TrainedModel.load` reads.
    Files are written into `workdir`. With `resume`, a checkpoint of the same spec and data, goes
    on from there as if it had never stopped. Raises InvalidError for data that cannot be used,
    TrainingError when the loss is no number any more. Closing the generator stops training.
    """
    problem, encoding = pose(spec, columns.load(table_path))
    trainer = Trainer([spec], problem)
    run = Run(spec, problem, trainer, workdir, spec.checkpoint.every_seconds or checkpoint_seconds)
    if resume is not None:
        run.restore(resume)
    yield from run.events(encoding)


@dataclass
class Run:
    """One network on its way from first weights to a model."""

    spec: JobSpec
    problem: Problem
    trainer: Trainer
    workdir: Path
    checkpoint_seconds: float
    judge: Judge = field(init=False)
    best: Array | None = None
    seconds_before: float = 0.0

    def __post_init__(self) -> None:
        self.judge = Judge(self.spec)
        self._started = self._saved = self._breathed = time.monotonic()
        self._saved_step = self.trainer.step
        self._improved = False

    def events(self, encoding: Encoding) -> Events:
        """Everything that happens until training ends."""
        trainer = self.trainer
        yield TrainingStarted(
            step=trainer.step,
            epoch=trainer.epoch,
            weights=trainer.network.weights.shape[-1],
            steps_total=trainer.steps_an_epoch * self.spec.epochs,
            epochs_total=self.spec.epochs,
        )
        reason = None
        while reason is None:
            reason = yield from self._epoch()
        yield self._ended(reason, encoding)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint. Raises InvalidError when it does not fit."""
        progress, self.best = checkpoint.restore(self.trainer, path)
        self.seconds_before = progress["seconds"]
        self.judge = Judge(self.spec, **progress["judge"])
        self._saved_step = self.trainer.step

    def _epoch(self) -> Generator[Event | None, Command | None, str | None]:
        """One pass over the data; why training ends after it, or None."""
        trainer = self.trainer
        every = self.spec.report_steps or max(1, trainer.steps_an_epoch // 10)
        reason = self.judge.within(trainer.step, self._seconds())
        while reason is None and trainer.batch < trainer.batches:
            before = trainer.step
            loss = trainer.advance()
            if not trainer.xp.isfinite(loss).all():
                raise TrainingError(diagnose(trainer))
            if trainer.step == before:
                continue
            if trainer.step % every == 0:
                yield StepEnded(trainer.step, trainer.epoch, {"train/loss": float(loss)})
            yield from self._pause()
            reason = self.judge.within(trainer.step, self._seconds())
        if trainer.batch == 0:
            return reason
        metrics = self._end_epoch()
        yield EpochEnded(trainer.step, trainer.epoch, metrics)
        return reason or self.judge.verdict(trainer.epoch, metrics)

    def _end_epoch(self) -> dict[str, float]:
        trainer = self.trainer
        metrics = {f"train/{n}": float(v) for n, v in trainer.end_epoch().items()}
        if trainer.valid is not None:
            with trainer.final_weights():
                metrics.update(self._evaluated("valid"))
        trainer.losses.append(metrics.get("valid/loss", metrics["train/loss"]))
        self._improved = self.judge.epoch_ended(trainer.epoch, metrics)
        stop = self.spec.early_stopping
        if self._improved and stop is not None and stop.restore_best:
            self.best = trainer.snapshot()
        return metrics

    def _evaluated(self, name: Literal["valid", "test"]) -> dict[str, float]:
        trainer = self.trainer
        part = trainer.valid if name == "valid" else trainer.test
        if part is None:
            return {}
        found = evaluate(trainer.network, trainer.loss, self.spec.metrics, part, trainer.scope)
        return {f"{name}/{metric}": float(value) for metric, value in found.items()}

    def _pause(self) -> Events:
        """Let the caller speak now and then, and save a checkpoint when one is due or asked for."""
        now = time.monotonic()
        command = None
        if now - self._breathed >= BREATH_SECONDS:
            self._breathed = now
            command = yield None
        every = self.spec.checkpoint.every_steps
        due = now - self._saved >= self.checkpoint_seconds
        due = due or (every is not None and self.trainer.step - self._saved_step >= every)
        if command == "checkpoint" or due:
            yield self.save_checkpoint()

    def save_checkpoint(self) -> CheckpointSaved:
        """Write a checkpoint of this very moment into `workdir`."""
        trainer = self.trainer
        progress = {"seconds": self._seconds(), "judge": self.judge.state()}
        path = self.workdir / f"checkpoint-{trainer.step}.safetensors"
        digest = checkpoint.save(path, *checkpoint.capture(trainer, progress, self.best))
        self._saved, self._saved_step = time.monotonic(), trainer.step
        best, self._improved = self._improved, False
        return CheckpointSaved(trainer.step, trainer.epoch, str(path), digest, best)

    def _ended(self, reason: str, encoding: Encoding) -> TrainingEnded:
        trainer = self.trainer
        trainer.adopt(self.best)
        metrics = self._evaluated("valid") | self._evaluated("test")
        network = trainer.network
        weights, state = to_host(network.weights), to_host(network.state)
        model = TrainedModel(self.spec, encoding, self.problem.shape, weights, state)
        path = self.workdir / "model.safetensors"
        model.save(path)
        details = {"best_epoch": self.judge.best_epoch, "best_metrics": self.judge.best_metrics}
        return TrainingEnded(
            trainer.step,
            trainer.epoch,
            reason,
            metrics,
            str(path),
            weights_digest(weights, state),
            details,
        )

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self._started
