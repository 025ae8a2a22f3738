"""`make bench-start`: seconds to start, and memory and processor time of a stack without jobs.

The api starts as a process of its own on an empty database, the command line shows its help. Then
a whole stack runs as `chainrule up` starts it, with MLflow. Once all of it answers, its processes
are measured: memory that they share with none (the unique set size), and processor time.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import psutil

from benchmarks.ports import free_port
from benchmarks.results import Row, at_most, figure, publish
from migrations import runner

COMMAND_LINE = [sys.executable, "-m", "chainrule.cli"]
READY_SECONDS = 120.0
SETTLE_SECONDS = 15.0
"""Time after the last answer in which processes finish what they do once, at their start."""


def main() -> None:
    """Measure and publish."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--seconds", type=float, default=30.0, help="time to measure the idle stack")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            at_most("api ready", median(lambda: api(Path(folder)), given.rounds), "s", 4.0),
            at_most("chainrule --help", median(shown_help, given.rounds), "s", 0.4),
            *idle(Path(folder), given.seconds),
        ]
    publish("start", rows)


def median(seconds: Callable[[], float], rounds: int) -> float:
    """Return the median of `rounds` measurements, after one that fills the caches of the disk."""
    seconds()
    return float(np.median([seconds() for _ in range(rounds)]))


def shown_help() -> float:
    """Return the seconds that `chainrule --help` takes."""
    begun = time.perf_counter()
    subprocess.run([*COMMAND_LINE, "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def api(folder: Path) -> float:
    """Return the seconds until a new api answers."""
    database = f"sqlite:///{folder / 'database.sqlite'}"
    runner.upgrade(database)
    port = free_port()
    settings = {
        "CHAINRULE_DATABASE_URL": database,
        "CHAINRULE_DATA_DIR": str(folder / "api"),
        "CHAINRULE_PORT": str(port),
    }
    begun = time.perf_counter()
    with running([sys.executable, "-m", "api"], settings) as process:
        until_answers(f"http://127.0.0.1:{port}/healthz", process)
        return time.perf_counter() - begun


def idle(folder: Path, seconds: float) -> list[Row]:
    """Return what the processes of a stack without jobs use, each and together."""
    port, mlflow_port = free_port(), free_port()
    command = [*COMMAND_LINE, "up", "--data-dir", str(folder / "stack")]
    command += ["--port", str(port), "--mlflow-port", str(mlflow_port)]
    begun = time.perf_counter()
    with running(command, {}) as process:
        until_answers(f"http://127.0.0.1:{port}/readyz", process)
        ready = time.perf_counter() - begun
        until_answers(f"http://127.0.0.1:{mlflow_port}/health", process)
        time.sleep(SETTLE_SECONDS)
        processes = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
        before = [used_seconds(each) for each in processes]
        time.sleep(seconds)
        shares = [
            (used_seconds(each) - used) / seconds
            for each, used in zip(processes, before, strict=True)
        ]
        memory = [each.memory_full_info().uss / 2**20 for each in processes]
        names = [label(each) for each in processes]
    return [
        figure("stack ready", ready, "s"),
        *(figure(f"memory of {name}", size, "MiB") for name, size in by_name(names, memory)),
        at_most("memory of the idle stack", sum(memory), "MiB", 900.0),
        *(figure(f"cpu of {name}", 100 * share, "%") for name, share in by_name(names, shares)),
        at_most("cpu of the idle stack", 100 * sum(shares), "% of a core", 2.0),
    ]


def label(process: psutil.Process) -> str:
    """Return what a process of the stack is: its module, or its program."""
    words: list[str] = process.cmdline()
    if "-m" in words:
        names = [word for word in words if ":" in word and "." in word and "/" not in word]
        return names[0].partition(":")[0] if names else words[words.index("-m") + 1]
    if "-c" in words:
        return words[words.index("-c") + 1].partition(";")[0].removeprefix("from ")
    return str(process.name())


def by_name(names: list[str], values: list[float]) -> Iterator[tuple[str, float]]:
    """Yield each name with the sum of its values."""
    for name in dict.fromkeys(names):
        yield name, sum(value for of, value in zip(names, values, strict=True) if of == name)


def used_seconds(process: psutil.Process) -> float:
    """Return the processor time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def running(command: list[str], settings: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a process in a group of its own, and stop it."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def until_answers(address: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a server answers. Raises RuntimeError when it ended or takes minutes."""
    give_up_at = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(address, timeout=5).is_success:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{address} did not answer")


if __name__ == "__main__":
    main()
