"""Trains a network, or a stack of them, until each ends: events, checkpoints, models."""

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from core.events import (
    CheckpointFailed,
    CheckpointSaved,
    EpochEnded,
    Event,
    StackReported,
    StepEnded,
    TrainingEnded,
    TrainingFailed,
    TrainingStarted,
)
from core.nn.array import Array, to_host
from core.shortage import shortage
from core.spec import TrainingSpec
from core.training import checkpoint
from core.training.calibration import temperature
from core.training.diagnostics.baseline import compare
from core.training.diagnostics.divergence import diagnose
from core.training.evaluation import by_network, evaluate
from core.training.model import weights_digest
from core.training.stopping_criteria import StoppingCriteria
from core.training.trainer import Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Leave:
    """A command: stop training network `network` of the stack (pruned or cancelled)."""

    network: int


Command: TypeAlias = Literal["checkpoint"] | Leave
Events: TypeAlias = Generator[Event | None, Command | None, None]
SaveModel: TypeAlias = Callable[[int, Array, Array], Path]
"""Writes the model of a network (its number, weights, state) and returns the path."""

Examine: TypeAlias = Callable[[Trainer], dict[str, Any]]
"""Computes insights into a single trained network."""

REPORT_STEPS = 50
"""The fewest updates between two reports, unless the spec says otherwise."""

PAUSE_SECONDS = 0.1
"""The loop yields at least this often, if need be None, so that its caller can send a command."""


@dataclass
class Member:
    """A network still in training, with its number among those that started."""

    number: int
    spec: TrainingSpec
    criteria: StoppingCriteria


@dataclass(frozen=True)
class CheckpointPolicy:
    """Where and how often checkpoints are saved, by time, by updates, and on demand."""

    folder: Path
    seconds: float | None = None
    steps: int | None = None


class Run:
    """Trains all networks of a trainer until each has ended; `events` reports what happens."""

    def __init__(
        self,
        trainer: Trainer,
        save_model: SaveModel,
        policy: CheckpointPolicy | None = None,
        *,
        examine: Examine = lambda _: {},
        together: bool = False,
    ) -> None:
        """With `together`, steps and epochs of all networks are reported in one event each."""
        self.trainer = trainer
        self.members = [
            Member(number, spec, StoppingCriteria(spec))
            for number, spec in enumerate(trainer.specs)
        ]
        self.policy = policy
        self._together = together
        self.best: Array | None = None
        self._save_model = save_model
        self._examine = examine
        self._seconds_before = 0.0
        self._started = self._saved = self._paused = time.monotonic()
        self._saved_step = 0
        self._improved = False
        self._leaving: set[int] = set()

    def events(self) -> Events:
        """The events until the last network has ended."""
        trainer = self.trainer
        for member in self.members:
            yield TrainingStarted(
                step=trainer.step,
                epoch=trainer.epoch,
                network=member.number,
                weights=trainer.network.weights.shape[-1],
                steps_total=trainer.steps_an_epoch * member.spec.epochs,
                epochs_total=member.spec.epochs,
            )
        while self.members:
            yield from self._epoch()

    def close(self) -> None:
        """Close files that rows are read from."""
        self.trainer.close()

    def resume(self, snapshot: checkpoint.Snapshot) -> None:
        """Continue from a checkpoint. Raises InvalidError when it is of another network."""
        progress, self.best = checkpoint.restore(self.trainer, *snapshot)
        self._seconds_before = progress["seconds"]
        for member, state in zip(self.members, progress["judges"], strict=True):
            member.criteria = StoppingCriteria(member.spec, **state)
        self._saved_step = self.trainer.step

    def _epoch(self) -> Events:
        """One pass over the training rows, and the end of networks that it stops."""
        reason = yield from self._batches()
        if not self.members:
            return
        ended: dict[int, str] = {}
        if self.trainer.batch == 0:  # stopped before the first batch: nothing to report
            ended = dict.fromkeys(range(len(self.members)), reason or "steps")
        else:
            reports, better = self._end_epoch()
            if self._together:
                of_all = {name: [r[name] for r in reports] for name in reports[0]}
                yield self._stack_reported(of_all, better)
            for row, (member, metrics) in enumerate(zip(self.members, reports, strict=True)):
                if not self._together:
                    yield EpochEnded(
                        self.trainer.step,
                        self.trainer.epoch,
                        metrics,
                        better[row],
                        member.criteria.watched(metrics),
                        network=member.number,
                    )
                verdict = reason or member.criteria.after_epoch(self.trainer.epoch, metrics)
                if verdict:
                    ended[row] = verdict
        yield from self._end(ended)
        self._leave({row for row, m in enumerate(self.members) if m.number in self._leaving})

    def _batches(self) -> Generator[Event | None, Command | None, str | None]:
        """Train on the batches of an epoch; returns why it stopped early, or None."""
        trainer = self.trainer
        spec = trainer.spec
        every = spec.report_steps or max(REPORT_STEPS, trainer.steps_an_epoch // 10)
        criteria = self.members[0].criteria
        reason = criteria.within_epoch(trainer.step, self._seconds())
        while reason is None and self.members and self.trainer.batch < trainer.batches:
            before = self.trainer.step
            loss = self.trainer.advance(measured=self._measures_next(every))
            if self.trainer.failed.any():
                yield from self._failures()
                continue
            if self.trainer.step == before:
                continue
            if self.trainer.step % every == 0:
                yield from self._step_ended({"batch_loss": loss, **self.trainer.update_metrics})
            elif self.trainer.update_metrics:
                yield from self._step_ended(self.trainer.update_metrics)
            yield from self._pause()
            reason = criteria.within_epoch(self.trainer.step, self._seconds())
        return reason

    def _stack_reported(
        self, metrics: dict[str, list[float]], better: Sequence[bool] = ()
    ) -> StackReported:
        numbers = tuple(member.number for member in self.members)
        best = tuple(compress(numbers, better))
        watched = self.members[0].criteria.watched(metrics) if better else ""
        return StackReported(self.trainer.step, self.trainer.epoch, numbers, metrics, best, watched)

    def _measures_next(self, every: int) -> bool:
        """Whether to measure the next update: when it is reported, and at the end of an epoch.

        Measuring takes time, so ends of epochs shorter than `every` updates are not all measured.
        """
        trainer = self.trainer
        step = trainer.step + 1
        if step % every == 0:
            return True
        if trainer.batch < trainer.batches - 1:
            return False
        return trainer.epoch == 0 or step // every > (step - trainer.steps_an_epoch) // every

    def _step_ended(self, metrics: dict[str, Array]) -> Events:
        if self._together:
            of_all = {f"train/{name}": by_network(values) for name, values in metrics.items()}
            yield self._stack_reported(of_all)
            return
        reports = _split("train", metrics, len(self.members))
        for member, report in zip(self.members, reports, strict=True):
            yield StepEnded(self.trainer.step, self.trainer.epoch, report, network=member.number)

    def _failures(self) -> Events:
        """Report the networks that failed, and continue without them."""
        rows = {int(row) for row in np.flatnonzero(self.trainer.failed)}
        for row in sorted(rows):
            yield TrainingFailed(
                self.trainer.step,
                self.trainer.epoch,
                diagnose(self.trainer, row),
                network=self.members[row].number,
            )
        self._leave(rows)

    def _end_epoch(self) -> tuple[list[dict[str, float]], list[bool]]:
        """The metrics of each network for the epoch that just ended; whether it is its best."""
        trainer = self.trainer
        reports = _split("train", trainer.end_epoch(), len(self.members))
        if trainer.valid is not None:
            with trainer.final_weights():
                for report, valid in zip(reports, self._evaluate("valid"), strict=True):
                    report.update(valid)
        watched = [report.get("valid/loss", report["train/loss"]) for report in reports]
        trainer.losses += (np.array(watched)[:, None] if trainer.stack else watched[0],)
        better = [
            member.criteria.epoch_ended(trainer.epoch, report)
            for member, report in zip(self.members, reports, strict=True)
        ]
        self._improved = any(better)
        self._update_best(better)
        return reports, better

    def _update_best(self, better: list[bool]) -> None:
        stop = self.trainer.spec.early_stopping
        if stop is None or not stop.restore_best or not any(better):
            return
        now = self.trainer.snapshot()
        if self.best is None or not self.trainer.stack:
            self.best = now
        else:
            rows = np.flatnonzero(better)
            self.best[rows] = now[rows]

    def _evaluate(self, name: Literal["valid", "test"]) -> list[dict[str, float]]:
        trainer = self.trainer
        part = trainer.valid if name == "valid" else trainer.test
        if part is None:
            return [{} for _ in self.members]
        metrics = evaluate(trainer.network, trainer.loss, trainer.spec.metrics, part, trainer.scope)
        return _split(name, metrics, len(self.members))

    def _pause(self) -> Events:
        """Yield to the caller now and then, and save a checkpoint when one is due or requested."""
        now = time.monotonic()
        command: Command | None = None
        if now - self._paused >= PAUSE_SECONDS:
            self._paused = now
            command = yield None
        if isinstance(command, Leave):
            self._leaving.add(command.network)
        if self.policy is not None and (command == "checkpoint" or self._due(self.policy, now)):
            yield self._checkpoint(self.policy)

    def _due(self, policy: CheckpointPolicy, now: float) -> bool:
        if policy.steps is not None and self.trainer.step - self._saved_step >= policy.steps:
            return True
        return policy.seconds is not None and now - self._saved >= policy.seconds

    def _checkpoint(self, policy: CheckpointPolicy) -> CheckpointSaved | CheckpointFailed:
        """Save a checkpoint. Training continues when the machine cannot write it."""
        trainer = self.trainer
        progress: dict[str, Any] = {
            "seconds": self._seconds(),
            "judges": [member.criteria.state() for member in self.members],
        }
        if trainer.dataset.memory_bytes is not None:  # the order of rows depends on it
            progress["data_memory_bytes"] = trainer.dataset.memory_bytes
        path = policy.folder / f"checkpoint-{trainer.step}.safetensors"
        try:
            digest = checkpoint.save(path, *checkpoint.capture(trainer, progress, self.best))
        except Exception as error:
            if not isinstance(error, OSError) and shortage(error) is None:
                raise
            detail = f"the checkpoint of step {trainer.step:,} was not written: {error}"
            return CheckpointFailed(trainer.step, trainer.epoch, detail)
        finally:
            self._saved, self._saved_step = time.monotonic(), trainer.step
        best, self._improved = self._improved, False
        return CheckpointSaved(trainer.step, trainer.epoch, str(path), digest, best)

    def _end(self, reasons: dict[int, str]) -> Events:
        """Save models of the networks that have ended, and continue without them."""
        if not reasons:
            return
        trainer = self.trainer
        current = trainer.network.weights.copy(), trainer.network.state.copy()
        trainer.adopt(self.best)
        temperatures = self._calibrate()
        metrics = [
            valid | test
            for valid, test in zip(self._evaluate("valid"), self._evaluate("test"), strict=True)
        ]
        baselines = self._baselines(metrics)
        weights, state = to_host(trainer.network.weights), to_host(trainer.network.state)
        for row, reason in reasons.items():
            member, chosen = self.members[row], (row,) if trainer.stack else ()
            path = self._save_model(member.number, weights[chosen], state[chosen])
            digest = weights_digest(weights[chosen], state[chosen])
            yield TrainingEnded(
                trainer.step,
                trainer.epoch,
                reason,
                metrics[row],
                str(path),
                digest,
                {**member.criteria.summary(), **temperatures[row], "baseline": baselines[row]},
                {} if trainer.stack else self._examine(trainer),
                network=member.number,
            )
        trainer.network.weights[...], trainer.network.state[...] = current
        self._leave(set(reasons))

    def _calibrate(self) -> list[dict[str, float]]:
        """Scale the logits if the spec says so; the temperature of each network."""
        trainer = self.trainer
        if trainer.spec.calibrate is None or trainer.valid is None:
            return [{} for _ in self.members]
        return [{"temperature": number} for number in temperature.scale(trainer, trainer.valid)]

    def _baselines(self, reports: Sequence[Mapping[str, float]]) -> Sequence[Mapping[str, Any]]:
        """Comparisons of the networks with the trivial baseline; none must fail a training."""
        try:
            return compare(self.trainer, reports)
        except Exception as error:
            log.warning("no comparison with a baseline: %s: %s", type(error).__name__, error)
            return [{} for _ in reports]

    def _leave(self, rows: set[int]) -> None:
        """Continue without these networks of the stack; the others train as before."""
        if not rows:
            return
        stay = [row for row in range(len(self.members)) if row not in rows]
        self.members = [self.members[row] for row in stay]
        if not stay:
            return
        snapshot = checkpoint.select(checkpoint.capture(self.trainer, {}, self.best), stay)
        self.trainer = Trainer(
            [member.spec for member in self.members], self.trainer.dataset, stacked_axis=True
        )
        _, self.best = checkpoint.restore(self.trainer, *snapshot)

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started


def _split(part: str, metrics: dict[str, Any], networks: int) -> list[dict[str, float]]:
    """Metrics of shape `stack` as one dictionary for each network."""
    reports: list[dict[str, float]] = [{} for _ in range(networks)]
    for name, values in metrics.items():
        for report, value in zip(reports, by_network(values), strict=True):
            report[f"{part}/{name}"] = value
    return reports
