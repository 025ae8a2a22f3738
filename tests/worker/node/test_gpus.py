"""Metrics of graphics cards. No card is here: the library is a double that says it is one."""

import pytest

from core.events import MACHINE
from worker.node.gpus import Gpus
from worker.node.system_metrics import SystemMetrics


class Double:
    """Stands for `pynvml` on a machine with two cards, the second of which fell off its bus."""

    class NVMLError(Exception):
        """As the library's."""

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

    def nvmlDeviceGetMemoryInfo(self, card: int) -> Answer:
        if card:
            raise self.NVMLError
        return self.Answer()

    def nvmlDeviceGetUtilizationRates(self, card: int) -> Answer:
        return self.Answer()

    def nvmlDeviceGetPowerUsage(self, card: int) -> int:
        if not self.power:
            raise self.NVMLError
        return 250_500


def test_cards_that_answer_are_told_of_under_the_names_of_mlflow():
    told = {
        "gpu_0_utilization_percentage": 75.0,
        "gpu_0_memory_usage_megabytes": 3000.0,
        "gpu_0_memory_usage_percentage": 25.0,
    }
    assert Gpus(Double()).measure() == told | {"gpu_0_power_usage_watts": 250.5}
    assert Gpus(Double(power=False)).measure() == told


@pytest.mark.parametrize("library", [None, Double(driver=False)])
def test_without_library_or_driver_there_is_nothing_to_tell(library):
    assert Gpus(library).measure() == {}


def test_a_machine_with_cards_tells_of_them(tmp_path):
    vitals = SystemMetrics(tmp_path, seconds=1e-9, gpus=Gpus(Double()))
    assert vitals.measure(1, 1)[f"{MACHINE}gpu_0_utilization_percentage"] == 75.0
