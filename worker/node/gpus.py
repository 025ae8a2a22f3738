"""How the NVIDIA cards of this machine do, where there is a driver and `nvidia-ml-py`."""

import importlib
from importlib.util import find_spec
from typing import Any

_MEGABYTE = 10**6
_MILLIWATTS = 1000

NVML: Any = importlib.import_module("pynvml") if find_spec("pynvml") else None
"""The library that speaks to the driver, an optional one; the only place that knows it."""


class Gpus:
    """The cards there are; none without library or driver."""

    def __init__(self, library: Any = NVML) -> None:
        self._library = library
        self._cards: list[Any] = []
        if library is None:
            return
        try:
            library.nvmlInit()
            count = library.nvmlDeviceGetCount()
            self._cards = [library.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        except library.NVMLError:  # a library without a driver
            return

    def measure(self) -> dict[str, float]:
        """Metrics by the names that MLflow's pages know; a card that does not answer has none."""
        found: dict[str, float] = {}
        for index, card in enumerate(self._cards):
            try:
                told = self._card(card)
            except self._library.NVMLError:
                continue
            found |= {f"gpu_{index}_{name}": value for name, value in told.items()}
        return found

    def _card(self, card: Any) -> dict[str, float]:
        memory = self._library.nvmlDeviceGetMemoryInfo(card)
        told = {
            "utilization_percentage": float(self._library.nvmlDeviceGetUtilizationRates(card).gpu),
            "memory_usage_megabytes": memory.used / _MEGABYTE,
            "memory_usage_percentage": 100 * memory.used / memory.total,
        }
        try:
            told["power_usage_watts"] = self._library.nvmlDeviceGetPowerUsage(card) / _MILLIWATTS
        except self._library.NVMLError:  # not every card tells
            return told
        return told
