"""What the networks of a stack report, gathered in columns: packed for each only when written."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.events import StackReported
from core.jobs import PACKED, Written
from core.spec import JobSpec


class Columns:
    """The reports of a stack of `spec`'s kind since they were last taken, and each one's best."""

    def __init__(self, spec: JobSpec, networks: int) -> None:
        self._spec = spec
        self._networks = networks
        self._reports: list[tuple[StackReported, int]] = []
        self._sequence = 0
        self._last: dict[str, list[float]] = {}
        self._best = np.full(networks, math.nan)
        self._bests: list[dict[str, float]] = [{} for _ in range(networks)]
        self._ended: set[int] = set()

    @property
    def empty(self) -> bool:
        """Whether nothing was reported since."""
        return not self._reports

    def add(self, report: StackReported, at_ms: int) -> None:
        """Take a report that was heard at `at_ms`."""
        self._reports.append((report, at_ms))
        for name, values in report.metrics.items():
            column = self._last.setdefault(name, [math.nan] * self._networks)
            for network, value in zip(report.networks, values, strict=True):
                column[network] = value
        if report.epoch_ended:
            self._note_best(report)

    def last(self, network: int) -> dict[str, float]:
        """The newest value of each metric of a network."""
        return {name: column[network] for name, column in self._last.items()}

    def best(self, network: int) -> dict[str, float]:
        """The metrics of a network's best epoch so far."""
        return self._bests[network]

    def take(self, networks: Sequence[int]) -> dict[int, Written]:
        """What these have to write now; what the others reported is dropped."""
        self._sequence += 1
        reports, self._reports = self._reports, []
        keys: dict[str, int] = {}
        heads, values, there = [], [], []
        for report, at_ms in reports:
            places = list(report.networks)
            for name, column in report.metrics.items():
                number = keys.setdefault(name, len(keys))
                heads.append((number, report.step, report.epoch, at_ms, 0.0))
                row = np.full(self._networks, math.nan)
                row[places] = column
                values.append(row)
                mask = np.zeros(self._networks, bool)
                mask[places] = True
                there.append(mask)
        packed = np.array(heads, PACKED)
        table = np.array(values).reshape(len(heads), self._networks)
        told = np.array(there, bool).reshape(len(heads), self._networks)
        found = {}
        for network in networks:
            own = packed[told[:, network]]
            own["value"] = table[told[:, network], network]
            progress = self._progress(network, reports)
            found[network] = Written(self._sequence, list(keys), own, progress)
        return found

    def _progress(
        self, network: int, reports: Sequence[tuple[StackReported, int]]
    ) -> dict[str, Any]:
        mine = [report for report, _ in reports[-1:] if network in report.networks]
        mine = mine or [report for report, _ in reversed(reports) if network in report.networks][:1]
        progress: dict[str, Any] = {"last": self.last(network)}
        if mine:
            progress |= {"step": mine[0].step, "epoch": mine[0].epoch}
        if self._bests[network]:
            progress["best"] = self._bests[network]
        return progress

    def _note_best(self, report: StackReported) -> None:
        """Which networks' epoch was better than all before it."""
        stop = self._spec.early_stopping
        watched = stop.metric if stop else "valid/loss"
        name = watched if watched in report.metrics else "train/loss"
        short = name.partition("/")[2]
        higher = any(m.name == short and m.better == "higher" for m in self._spec.metrics)
        new = np.array(report.metrics[name])
        old = self._best[list(report.networks)]
        better = np.isnan(old) | (new > old if higher else new < old)
        for index in np.flatnonzero(better):
            network = report.networks[index]
            self._best[network] = new[index]
            self._bests[network] = {key: column[index] for key, column in report.metrics.items()}
