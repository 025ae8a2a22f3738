"""Metrics of the machine and of the runner while a job trains, under MLflow's names."""

import shutil
import time
from pathlib import Path

import psutil

from chainrule.contract.metric_names import MACHINE
from worker.node.gpus import Gpus

_MEGABYTE = 10**6


class SystemMetrics:
    """Measures the machine, at most once every `seconds`; 0: never.

    Rates (processor, network, steps) are means since the measurement before.
    """

    def __init__(self, folder: Path, *, seconds: float, gpus: Gpus | None = None) -> None:
        """`folder` is on the disk to measure; `gpus` are by default all of this machine."""
        self._folder = folder
        self._seconds = seconds
        self._since = time.monotonic()
        self._step: int | None = None
        if seconds:
            self._network = psutil.net_io_counters()
            psutil.cpu_percent()
            self._gpus = gpus or Gpus()

    def measure(self, pid: int, step: int) -> dict[str, float]:
        """Metrics by name; empty when the next measurement is not due.

        `pid` is the runner's process id, `step` the number of updates that it has reported.
        """
        now = time.monotonic()
        passed = now - self._since
        if not self._seconds or passed < self._seconds:
            return {}
        self._since = now
        metrics = self._machine() | self._traffic() | self._gpus.measure()
        metrics["runner_memory_megabytes"] = _resident_bytes(pid) / _MEGABYTE
        if self._step is not None and step >= self._step:
            metrics["steps_per_second"] = (step - self._step) / passed
        self._step = step
        return {f"{MACHINE}{name}": float(value) for name, value in metrics.items()}

    def _machine(self) -> dict[str, float]:
        memory, disk = psutil.virtual_memory(), shutil.disk_usage(self._folder)
        return {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / _MEGABYTE,
            "system_memory_usage_percentage": memory.percent,
            "disk_usage_megabytes": disk.used / _MEGABYTE,
            "disk_usage_percentage": 100 * disk.used / disk.total,
            "disk_available_megabytes": disk.free / _MEGABYTE,
        }

    def _traffic(self) -> dict[str, float]:
        before, self._network = self._network, psutil.net_io_counters()
        if before is None or self._network is None:  # a machine without a network
            return {}
        return {
            "network_receive_megabytes": (self._network.bytes_recv - before.bytes_recv) / _MEGABYTE,
            "network_transmit_megabytes": (self._network.bytes_sent - before.bytes_sent)
            / _MEGABYTE,
        }


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 once it has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
