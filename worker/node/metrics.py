"""Prometheus metrics of a worker: counters that its slots share with the main process.

Each slot writes to a row of its own, so no lock is needed. A process that replaces another goes on
with its row.
"""

import mmap
import struct
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.sandbox.enforcement import Report

COUNTERS = {
    "attempts_finished": "attempts that ended with a model",
    "attempts_failed": "attempts that failed because of their spec",
    "attempts_cancelled": "attempts that were cancelled",
    "attempts_released": "attempts that were given back by a drain or a pause",
    "attempts_lost": "attempts that ended for another reason than their spec",
    "machine_losses": "lost attempts that this machine caused: they are not charged",
    "attempts_superseded": "attempts that another one replaced: their writes were refused",
    "duplicate_bells": "messages for jobs that were not queued",
    "steps": "optimizer updates",
    "points": "metric points recorded",
    "checkpoints": "checkpoints that runners saved",
    "cache_bytes_scrubbed": "bytes of the cache that the scrub read to detect damage",
    "cache_damaged": "damaged files that the scrub removed from the cache",
    "store_repaired": "damaged objects of the store that were replaced from the cache",
    "checkpoint_failures": "checkpoints that this machine could not save or upload",
}
GAUGES = {"busy": "slots that run a job", "suspended": "slots that the circuit breaker stopped"}

_NAMES = (*COUNTERS, *GAUGES)
_VALUE = struct.Struct("d")


class WorkerCounts:
    """A table of numbers in shared memory: a row for each slot, a column for each name."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._memory = mmap.mmap(-1, slots * len(_NAMES) * _VALUE.size)

    def of_slot(self, slot: int) -> "SlotCounts":
        """The row of one slot, which only one process may write to."""
        return SlotCounts(self, slot)

    def total(self, name: str) -> float:
        """The sum over all slots."""
        return sum(self.read(slot, name) for slot in range(self._slots))

    def read(self, slot: int, name: str) -> float:
        """The number `name` of one slot."""
        value: float = _VALUE.unpack_from(self._memory, self._offset(slot, name))[0]
        return value

    def write(self, slot: int, name: str, value: float) -> None:
        """Set the number `name` of one slot."""
        _VALUE.pack_into(self._memory, self._offset(slot, name), value)

    def collect(self) -> Iterator[Metric]:
        """All totals as Prometheus metrics."""
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"chainrule_worker_{name}", text, self.total(name))
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"chainrule_worker_{name}", text, self.total(name))
        yield GaugeMetricFamily("chainrule_worker_slots", "slots of the worker", self._slots)

    def _offset(self, slot: int, name: str) -> int:
        return ((slot % self._slots) * len(_NAMES) + _NAMES.index(name)) * _VALUE.size


class SlotCounts:
    """The numbers of one slot."""

    def __init__(self, counts: WorkerCounts, slot: int) -> None:
        self._counts = counts
        self._slot = slot

    def add(self, name: str, amount: float = 1) -> None:
        """Add `amount` to the number `name`."""
        self.set(name, self._counts.read(self._slot, name) + amount)

    def set(self, name: str, value: float) -> None:
        """Set the number `name` to `value`."""
        self._counts.write(self._slot, name, value)


class SandboxParts:
    """Which parts of the sandbox of runners hold, as a Prometheus metric."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """1 for each part that holds, 0 for each that does not."""
        text = "1 if this part of the sandbox of runners holds"
        family = GaugeMetricFamily("chainrule_worker_sandbox", text, labels=["part"])
        for part, reason in self._report.items():
            family.add_metric([part], float(not reason))
        yield family


def serve(counts: WorkerCounts, sandbox: Report, host: str, port: int) -> None:
    """Serve the metrics at http://host:port/metrics from a thread. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(counts)
    registry.register(SandboxParts(sandbox))
    start_http_server(port, host, registry)
