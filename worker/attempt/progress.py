"""From events of training to metric points and to what the job's row shows of its progress."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.db.types import to_milliseconds
from core.events import EpochEnded, Event, StepEnded, TrainingEnded, TrainingStarted
from core.jobs import Point
from core.spec import JobSpec


class Timeline:
    """Moments of an attempt as the database would tell them.

    They are the one of the claim plus what this machine's monotonic clock counted since, so that
    points of different machines are in order.
    """

    def __init__(self, claimed_at: datetime, claimed_monotonic: float) -> None:
        self._start_ms = to_milliseconds(claimed_at)
        self._monotonic = claimed_monotonic

    def points(
        self, metrics: Mapping[str, float], *, step: int, epoch: int, at: float
    ) -> list[Point]:
        """A point for each metric, measured at the monotonic moment `at`."""
        at_ms = self._start_ms + round(1000 * (at - self._monotonic))
        return [Point(key, step, epoch, at_ms, value) for key, value in metrics.items()]


class Story:
    """What happened in one attempt at training so far."""

    def __init__(
        self,
        spec: JobSpec,
        progress: dict[str, Any] | None,
        timeline: Timeline,
    ) -> None:
        self._spec = spec
        self._timeline = timeline
        self._last: dict[str, float] = dict((progress or {}).get("last") or {})
        # Not of earlier attempts: what they told beyond the checkpoint is superseded.
        self._told: set[str] = set()
        self._best: dict[str, float] = dict((progress or {}).get("best") or {})
        self._step, self._epoch = 0, 0

    def take(self, event: Event, at: float) -> tuple[list[Point], dict[str, Any]]:
        """The points in `event`, heard at the monotonic moment `at`, and the progress it means."""
        self._step, self._epoch = event.step, event.epoch
        progress: dict[str, Any] = {"step": event.step, "epoch": event.epoch}
        metrics: dict[str, float] = {}
        match event:
            case TrainingStarted():
                progress |= {
                    "weights": event.weights,
                    "steps_total": event.steps_total,
                    "epochs_total": event.epochs_total,
                }
            case StepEnded() | EpochEnded():
                metrics = event.metrics
                self._last.update(metrics)
                self._told.update(metrics)
                progress["last"] = dict(self._last)
                if isinstance(event, EpochEnded):
                    progress["best"] = self._best = self._better(metrics)
            case TrainingEnded():
                # What an epoch already told at this step stands in its curve.
                metrics = {k: v for k, v in event.metrics.items() if k not in self._told}
                progress["last"] = self._last | event.metrics
                progress["best"] = event.details.get("best_metrics") or self._best
        return self.measured(metrics, at), progress

    def measured(self, metrics: Mapping[str, float], at: float) -> list[Point]:
        """Points at the step of the last event, measured at the monotonic moment `at`."""
        return self._timeline.points(metrics, step=self._step, epoch=self._epoch, at=at)

    def _better(self, metrics: dict[str, float]) -> dict[str, float]:
        """The metrics of the better epoch: the best so far or this one."""
        stop = self._spec.early_stopping
        watched = stop.metric if stop else "valid/loss"
        name = watched if watched in metrics else "train/loss"
        new, old = float(metrics.get(name, math.nan)), float(self._best.get(name, math.nan))
        if math.isnan(old):
            return dict(metrics)
        better = new > old if self._higher_is_better(name) else new < old
        return dict(metrics) if better else self._best

    def _higher_is_better(self, name: str) -> bool:
        short = name.partition("/")[2]
        return any(m.name == short and m.better == "higher" for m in self._spec.metrics)
