"""Machines are measured at an interval, under MLflow's names."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from chainrule.contract.metric_names import MACHINE
from tests.support.present import present
from tests.support.worker_cases import Bench, until
from worker.node.system_metrics import SystemMetrics


def test_it_measures_this_machine(tmp_path: Path) -> None:
    metrics = SystemMetrics(tmp_path, seconds=0.01)
    time.sleep(0.02)
    first = metrics.measure(os.getpid(), step=100)
    assert f"{MACHINE}steps_per_second" not in first
    time.sleep(0.02)
    second = metrics.measure(os.getpid(), step=300)
    assert set(first) < set(second)
    assert all(name.startswith(MACHINE) for name in second)
    shares = [value for name, value in second.items() if name.endswith("percentage")]
    assert len(shares) == 3
    assert all(0 <= value <= 100 * present(os.cpu_count()) for value in shares)
    assert second[f"{MACHINE}runner_memory_megabytes"] > 10
    assert second[f"{MACHINE}steps_per_second"] > 0
    assert second[f"{MACHINE}network_receive_megabytes"] >= 0


def test_it_waits_in_between_and_can_be_turned_off(tmp_path: Path) -> None:
    metrics = SystemMetrics(tmp_path, seconds=1000)
    assert metrics.measure(os.getpid(), 1) == {}
    assert SystemMetrics(tmp_path, seconds=0).measure(os.getpid(), 1) == {}


def test_a_process_that_ended_has_no_memory(tmp_path: Path) -> None:
    metrics = SystemMetrics(tmp_path, seconds=0.001)
    time.sleep(0.01)
    assert metrics.measure(2**22 + 1, 1)[f"{MACHINE}runner_memory_megabytes"] == 0


def test_a_job_has_metrics_of_its_machine(
    make_bench: Callable[..., Bench], sqlite_url: str
) -> None:
    bench = make_bench(sqlite_url, system_metrics_seconds=0.1)
    job_id = bench.submit(epochs=10**6)
    name = f"{MACHINE}cpu_utilization_percentage"
    with bench.working(job_id):
        until(lambda: len(bench.history(job_id, machine=True).get(name, [])) > 1)
    steps = [step for step, _ in bench.history(job_id, machine=True).get(name, [])]
    assert steps == sorted(steps)
    assert steps[-1] > 0
