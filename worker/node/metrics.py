"""What the slots of a worker count, in memory that its main process shares with them.

Each slot writes to a row of its own, so that nobody waits for anybody; a child that takes the place
of another goes on with its row.
"""

import mmap
import struct
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

COUNTERS = {
    "attempts_finished": "attempts that ended with a model",
    "attempts_failed": "attempts that failed because of what the client asked for",
    "attempts_cancelled": "attempts that ended because the client wanted so",
    "attempts_released": "attempts given back by a drain or a pause",
    "attempts_lost": "attempts that something else than the spec broke",
    "machine_losses": "of those, attempts that this machine broke: they are not charged",
    "attempts_superseded": "attempts that found another in their place: their writes were refused",
    "duplicate_bells": "bells for jobs that did not wait",
    "steps": "optimizer updates",
    "points": "metric points measured",
    "checkpoints": "checkpoints that runners wrote",
    "cache_bytes_scrubbed": "bytes of the cache that were read again to find damage",
    "cache_damaged": "damaged files of the cache that the scrub dropped",
    "store_repaired": "damaged objects of the store that were replaced by copies of the cache",
    "checkpoint_failures": "checkpoints that this machine could not write or keep",
}
GAUGES = {"busy": "slots that train", "suspended": "slots that the circuit breaker keeps idle"}

_NAMES = (*COUNTERS, *GAUGES)
_VALUE = struct.Struct("d")


class Counts:
    """A table of numbers: a row for each slot, a column for each name."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._memory = mmap.mmap(-1, slots * len(_NAMES) * _VALUE.size)

    def row(self, slot: int) -> "Row":
        """The numbers of one slot. Only one process may write to them."""
        return Row(self, slot)

    def total(self, name: str) -> float:
        """The sum over all slots."""
        return sum(self.read(slot, name) for slot in range(self._slots))

    def read(self, slot: int, name: str) -> float:
        """The number of one slot."""
        value: float = _VALUE.unpack_from(self._memory, self._place(slot, name))[0]
        return value

    def write(self, slot: int, name: str, value: float) -> None:
        """Set the number of one slot."""
        _VALUE.pack_into(self._memory, self._place(slot, name), value)

    def collect(self) -> Iterator[Metric]:
        """All of them as Prometheus wants them."""
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"chainrule_worker_{name}", text, self.total(name))
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"chainrule_worker_{name}", text, self.total(name))
        yield GaugeMetricFamily("chainrule_worker_slots", "slots there are", self._slots)

    def _place(self, slot: int, name: str) -> int:
        return ((slot % self._slots) * len(_NAMES) + _NAMES.index(name)) * _VALUE.size


class Row:
    """The numbers of one slot."""

    def __init__(self, counts: Counts, slot: int) -> None:
        self._counts = counts
        self._slot = slot

    def add(self, name: str, amount: float = 1) -> None:
        """Count `amount` more."""
        self.set(name, self._counts.read(self._slot, name) + amount)

    def set(self, name: str, value: float) -> None:
        """Let the number be `value`."""
        self._counts.write(self._slot, name, value)


def serve(counts: Counts, host: str, port: int) -> None:
    """Show the numbers at http://host:port/metrics from a thread. Raises OSError."""
    registry = CollectorRegistry()
    registry.register(counts)
    start_http_server(port, host, registry)
