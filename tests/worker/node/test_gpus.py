"""Metrics of GPUs, with a double of the driver's library."""

from pathlib import Path

import pytest

from chainrule.contract.metric_names import MACHINE
from worker.node.gpus import Gpus
from worker.node.system_metrics import SystemMetrics


class Double:
    """Stands for `pynvml` on a machine with two GPUs, of which the second does not answer."""

    class NVMLError(Exception):
        """Stands for the library's error."""

    class Answer:
        gpu, used, total = 75, 3_000_000_000, 12_000_000_000

    def __init__(self, *, driver: bool = True, power: bool = True) -> None:
        self.driver, self.power = driver, power

    def nvmlInit(self) -> None:
        if not self.driver:
            raise self.NVMLError

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Answer:
        if handle:
            raise self.NVMLError
        return self.Answer()

    def nvmlDeviceGetUtilizationRates(self, _: int) -> Answer:
        return self.Answer()

    def nvmlDeviceGetPowerUsage(self, _: int) -> int:
        if not self.power:
            raise self.NVMLError
        return 250_500


def test_gpus_that_answer_are_measured_under_mlflow_s_names() -> None:
    metrics = {
        "gpu_0_utilization_percentage": 75.0,
        "gpu_0_memory_usage_megabytes": 3000.0,
        "gpu_0_memory_usage_percentage": 25.0,
    }
    assert Gpus(Double()).measure() == metrics | {"gpu_0_power_usage_watts": 250.5}
    assert Gpus(Double(power=False)).measure() == metrics


@pytest.mark.parametrize("library", [None, Double(driver=False)])
def test_without_library_or_driver_there_are_no_metrics(library: Double | None) -> None:
    assert Gpus(library).measure() == {}


def test_the_metrics_of_a_machine_include_its_gpus(tmp_path: Path) -> None:
    metrics = SystemMetrics(tmp_path, seconds=1e-9, gpus=Gpus(Double()))
    assert metrics.measure(1, 1)[f"{MACHINE}gpu_0_utilization_percentage"] == 75.0
