"""Decides when training of a network ends, and which epoch was best."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from core.spec import TrainingSpec

LOWER_IS_BETTER = ("loss",)


@dataclass
class StoppingCriteria:
    """The best epoch of one network so far, and the rules that stop it.

    Reasons to stop, in the order they are checked: `target`, `patience`, `epochs`, `steps`,
    `seconds`.
    """

    spec: TrainingSpec
    best: float | None = None
    best_epoch: int = 0
    best_metrics: dict[str, float] | None = None
    stale: int = 0

    def watched(self, metrics: Iterable[str]) -> str:
        """The metric, among those of an epoch, that decides which epoch was best."""
        stop = self.spec.early_stopping
        name = stop.metric if stop else "valid/loss"
        return name if name in metrics else "train/loss"

    def epoch_ended(self, epoch: int, metrics: dict[str, float]) -> bool:
        """Add an epoch, counted from 1; returns whether it is the best so far.

        Any number is better than NaN.
        """
        name = self.watched(metrics)
        value = metrics[name]
        stop = self.spec.early_stopping
        tolerance = stop.tolerance if stop else 0.0
        gain = (value - self.best) if self.best is not None else math.inf
        if self.best is not None and not self._higher_is_better(name):
            gain = -gain
        from_nan = self.best is not None and math.isnan(self.best) and not math.isnan(value)
        if self.best is None or from_nan or gain > tolerance:
            self.best, self.best_epoch, self.best_metrics, self.stale = value, epoch, metrics, 0
            return True
        self.stale += 1
        return False

    def after_epoch(self, epoch: int, metrics: dict[str, float]) -> str | None:
        """Why training ends after `epoch` epochs, or None if it continues."""
        target = self.spec.target_loss
        if target is not None and metrics["train/loss"] <= target:
            return "target"
        stop = self.spec.early_stopping
        if stop is not None and self.stale >= stop.patience:
            return "patience"
        return "epochs" if epoch >= self.spec.epochs else None

    def within_epoch(self, step: int, seconds: float) -> str | None:
        """Why training ends within an epoch, or None if it continues."""
        if self.spec.max_steps is not None and step >= self.spec.max_steps:
            return "steps"
        if self.spec.max_seconds is not None and seconds >= self.spec.max_seconds:
            return "seconds"
        return None

    def state(self) -> dict[str, Any]:
        """Everything but the spec, for a checkpoint."""
        names = (field.name for field in fields(self) if field.name != "spec")
        return {name: getattr(self, name) for name in names}

    def summary(self) -> dict[str, Any]:
        """The best epoch, its metrics, and the one it was best by, for the end of training."""
        return {
            "best_epoch": self.best_epoch,
            "best_metric": self.watched(self.best_metrics or ()),
            "best_metrics": self.best_metrics,
        }

    def _higher_is_better(self, name: str) -> bool:
        short = name.partition("/")[2]
        if short in LOWER_IS_BETTER:
            return False
        return any(m.name == short and m.better == "higher" for m in self.spec.metrics)
