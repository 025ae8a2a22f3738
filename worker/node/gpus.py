"""Metrics of the NVIDIA GPUs of this machine, if it has a driver and `nvidia-ml-py`."""

import importlib
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

_MEGABYTE = 10**6
_MILLIWATTS = 1000

NVML: Any = importlib.import_module("pynvml") if find_spec("pynvml") else None
"""The optional library that talks to the driver; used only in this file."""


class Gpus:
    """The GPUs of this machine; none without library or driver."""

    def __init__(self, library: Any = NVML) -> None:
        self._library = library
        self._handles: list[Any] = []
        if library is None:
            return
        try:
            library.nvmlInit()
            count = library.nvmlDeviceGetCount()
            self._handles = [library.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        except library.NVMLError:  # a library without a driver
            return

    def measure(self) -> dict[str, float]:
        """Metrics by MLflow's names; a GPU that does not answer is left out."""
        metrics: dict[str, float] = {}
        for index, handle in enumerate(self._handles):
            try:
                values = self._measure_gpu(handle)
            except self._library.NVMLError:
                continue
            metrics |= {f"gpu_{index}_{name}": value for name, value in values.items()}
        return metrics

    def _measure_gpu(self, handle: Any) -> dict[str, float]:
        memory = self._library.nvmlDeviceGetMemoryInfo(handle)
        utilization = self._library.nvmlDeviceGetUtilizationRates(handle)
        values = {
            "utilization_percentage": float(utilization.gpu),
            "memory_usage_megabytes": memory.used / _MEGABYTE,
            "memory_usage_percentage": 100 * memory.used / memory.total,
        }
        with suppress(self._library.NVMLError):  # some GPUs do not report it
            power = self._library.nvmlDeviceGetPowerUsage(handle)
            values["power_usage_watts"] = power / _MILLIWATTS
        return values
