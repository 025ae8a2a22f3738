"""From the events of a runner to metric points and to the progress that the jobs' rows show.

Kept in columns, with a value for each network of a stack, and packed only when written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.db.types import to_milliseconds
from core.events import (
    EpochEnded,
    EvaluationEnded,
    Event,
    RowsPassed,
    StackReported,
    StepEnded,
    TrainingEnded,
    TrainingStarted,
)
from core.jobs import PACKED, Claim, Report

_BEST = ("best", "best_epoch", "best_metric")
"""What a row shows of the best epoch: its metrics, its number, the metric it is best by."""
EVALUATION = "eval/"
"""Begins the names of an evaluation's metrics in the history of its job."""


class Timeline:
    """Converts moments of this machine to the database's time.

    That is the time of the claim plus what the monotonic clock counted since, so that points of
    different machines are in order.
    """

    def __init__(self, claimed_at: datetime, claimed_monotonic: float) -> None:
        self._start_ms = to_milliseconds(claimed_at)
        self._monotonic = claimed_monotonic

    def milliseconds(self, at: float) -> int:
        """The monotonic moment `at` in milliseconds since 1970 UTC."""
        return self._start_ms + round(1000 * (at - self._monotonic))


@dataclass(frozen=True)
class _Measured:
    """A value of each metric for each of these networks, in their order."""

    networks: Sequence[int]
    metrics: Mapping[str, Sequence[float]]
    step: int
    epoch: int
    at_ms: int


class Progress:
    """What the networks of an attempt have reported: unwritten points, newest and best values.

    The runner says which epoch was a network's best. It starts from what earlier attempts show.
    """

    def __init__(self, claims: Sequence[Claim], timeline: Timeline) -> None:
        self._networks = len(claims)
        self._timeline = timeline
        self._pending: list[_Measured] = []
        self._changed = False
        self._fields: dict[str, Any] = {}
        self._positions = [_position(claim) for claim in claims]
        earlier = [claim.progress or {} for claim in claims]
        self._last: dict[str, list[float | None]] = {}
        for network, shown in enumerate(earlier):
            self._update([network], {k: [v] for k, v in (shown.get("last") or {}).items()})
        self._best: list[dict[str, Any]] = [
            {name: it[name] for name in _BEST if it.get(name)} for it in earlier
        ]
        # Not of earlier attempts: their points beyond the checkpoint are superseded.
        self._reported: set[str] = set()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._pending and not self._changed

    @property
    def points(self) -> int:
        """How many points of one network wait to be written."""
        return sum(len(measured.metrics) for measured in self._pending)

    def add(self, event: Event, at: float) -> int:
        """Add what an event of the monotonic moment `at` says; the number of points in it."""
        self._changed = True
        match event:
            case StackReported():
                added = self._add_report(event.networks, event.metrics, event, at)
                self._note_best(event.best, event)
                return added
            case StepEnded():
                return self._add_one(event.metrics, event, at)
            case EpochEnded():
                added = self._add_one(event.metrics, event, at)
                self._note_best([event.network] if event.best else (), event)
                return added
            case TrainingEnded():
                return self._add_end(event, at)
            case EvaluationEnded():
                named = {f"{EVALUATION}{name}": value for name, value in event.metrics.items()}
                return self._add_one(named, event, at)
        self._positions[event.network] = event.step, event.epoch
        match event:
            case TrainingStarted():
                self._fields = {
                    "weights": event.weights,
                    "steps_total": event.steps_total,
                    "epochs_total": event.epochs_total,
                }
            case RowsPassed():
                self._fields = {"rows": event.rows, "rows_total": event.rows_total}
        return 0

    def measure(self, metrics: Mapping[str, float], at: float) -> None:
        """Add points of network 0 at its newest step, which its row does not show."""
        step, epoch = self._positions[0]
        columns = {name: [value] for name, value in metrics.items()}
        at_ms = self._timeline.milliseconds(at)
        self._pending.append(_Measured([0], columns, step, epoch, at_ms))

    def take(self, networks: Sequence[int], sequence: int, most_points: int) -> dict[int, Report]:
        """The reports of these networks, numbered `sequence`; the others' points are dropped.

        Beyond `most_points` of a network the rest stays for the next time, and the progress with
        it: a row must not run ahead of the points.
        """
        count = points = 0
        for measured in self._pending:
            if points >= most_points:
                break
            count, points = count + 1, points + len(measured.metrics)
        chunk, self._pending = self._pending[:count], self._pending[count:]
        shown = self._changed and not self._pending
        self._changed = self._changed and not shown
        keys, packed = _packed(chunk, self._networks)
        return {
            network: Report(sequence, keys, packed(network), self._row(network) if shown else {})
            for network in networks
        }

    def _add_one(self, metrics: Mapping[str, float], event: Event, at: float) -> int:
        columns = {name: [value] for name, value in metrics.items()}
        return self._add_report([event.network], columns, event, at)

    def _add_report(
        self,
        networks: Sequence[int],
        metrics: Mapping[str, Sequence[float]],
        event: Event,
        at: float,
    ) -> int:
        """Add a step or an epoch of `networks`."""
        at_ms = self._timeline.milliseconds(at)
        self._pending.append(_Measured(networks, metrics, event.step, event.epoch, at_ms))
        self._reported.update(metrics)
        self._update(networks, metrics)
        for network in networks:
            self._positions[network] = event.step, event.epoch
        return len(networks) * len(metrics)

    def _note_best(self, networks: Sequence[int], event: EpochEnded | StackReported) -> None:
        """Let the epoch that just ended be the best so far of these networks."""
        for network in networks:
            if isinstance(event, EpochEnded):
                metrics = event.metrics
            else:
                row = event.networks.index(network)
                metrics = {name: column[row] for name, column in event.metrics.items()}
            self._best[network] = _best(metrics, event.epoch, event.watched)

    def _update(self, networks: Sequence[int], metrics: Mapping[str, Sequence[float]]) -> None:
        """Let these values be the newest of their networks."""
        for name, column in metrics.items():
            if len(networks) == self._networks:
                self._last[name] = list(column)
                continue
            newest = self._last.setdefault(name, [None] * self._networks)
            for network, value in zip(networks, column, strict=True):
                newest[network] = value

    def _add_end(self, event: TrainingEnded, at: float) -> int:
        # What an epoch reported at this step is in the history.
        new = {name: [v] for name, v in event.metrics.items() if name not in self._reported}
        at_ms = self._timeline.milliseconds(at)
        self._pending.append(_Measured([event.network], new, event.step, event.epoch, at_ms))
        self._positions[event.network] = event.step, event.epoch
        self._update([event.network], {name: [v] for name, v in event.metrics.items()})
        details = event.details
        if best := details.get("best_metrics"):
            self._best[event.network] = _best(
                best, details.get("best_epoch"), details.get("best_metric")
            )
        return len(new)

    def _row(self, network: int) -> dict[str, Any]:
        """What the row of a network's job shows."""
        step, epoch = self._positions[network]
        row = {"step": step, "epoch": epoch, **self._fields}
        newest = {name: column[network] for name, column in self._last.items()}
        if last := {name: value for name, value in newest.items() if value is not None}:
            row["last"] = last
        return row | self._best[network]


def _best(metrics: Mapping[str, float], epoch: int | None, metric: str | None) -> dict[str, Any]:
    """What a row shows of its best epoch."""
    return dict(zip(_BEST, (dict(metrics), epoch, metric), strict=True))


def _packed(
    chunk: Sequence[_Measured], networks: int
) -> tuple[list[str], Callable[[int], NDArray[np.void]]]:
    """The names of the metrics in a chunk, and what gives a network's points as a PACKED array."""
    keys: dict[str, int] = {}
    heads: list[tuple[int, int, int, int, float]] = []
    count = sum(len(measured.metrics) for measured in chunk)
    values, present = np.zeros((count, networks)), np.zeros((count, networks), bool)
    for measured in chunk:
        places = list(measured.networks)
        for name, column in measured.metrics.items():
            values[len(heads), places], present[len(heads), places] = column, True
            key = keys.setdefault(name, len(keys))
            heads.append((key, measured.step, measured.epoch, measured.at_ms, 0.0))
    packed = np.array(heads, PACKED)

    def points(network: int) -> NDArray[np.void]:
        mine = packed[present[:, network]]
        mine["value"] = values[present[:, network], network]
        return mine

    return list(keys), points


def _position(claim: Claim) -> tuple[int, int]:
    """Step and epoch from which an attempt starts."""
    checkpoint = claim.checkpoint
    return (checkpoint.step, checkpoint.epoch) if checkpoint else (0, 0)
