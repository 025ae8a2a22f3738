"""Chainrule end to end: from the request to the last stored result, mirrored to MLflow."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.sweeps.cases import HIGH, LOW, Case
from chainrule.client import Client

WARM_UP = 64


@contextmanager
def stack(folder: Path, port: int, tracker: int) -> Iterator[Client]:
    """A running `chainrule up` with two workers, and a client of it."""
    command = [str(Path(sys.executable).parent / "chainrule"), "up", "--workers", "2"]
    command += ["--data-dir", str(folder / "data"), "--port", str(port)]
    command += ["--mlflow-port", str(tracker)]
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
    address = f"http://127.0.0.1:{port}"
    try:
        give_up_at = time.monotonic() + 120
        while time.monotonic() < give_up_at:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{address}/readyz").is_success:
                    break
            time.sleep(0.2)
        with Client(address) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def upload(client: Client, case: Case, folder: Path) -> None:
    """Register the case's data."""
    x, y = case.data()
    path = folder / f"{case.name}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{i}" for i in range(case.inputs)), "label"])
        writer.writerows([*row, int(label)] for row, label in zip(x.tolist(), y, strict=True))
    client.datasets.upload(case.name, path)


def seconds(client: Client, case: Case, trials: int, seed: int, **changes: Any) -> float:
    """Return the seconds of a search. `changes` replace fields of its SweepSpec."""
    return course(client, case, trials, seed, **changes)[-1][1]


def seconds_until_shown(client: Client, trials: int) -> float:
    """Wait until MLflow shows each trial of the newest sweep, and return the seconds."""
    begun = time.perf_counter()
    newest = next(iter(client.sweeps.list()))
    missing = [trial["job_id"] for trial in client.sweeps.trials(newest["id"])]
    if len(missing) != trials:
        raise RuntimeError(f"{len(missing)} trials, not {trials}")
    while missing:
        if client.jobs.get(missing[-1])["mlflow_run_id"]:
            missing.pop()
        else:
            time.sleep(0.5)
    return time.perf_counter() - begun


def course(
    client: Client, case: Case, trials: int, seed: int, **changes: Any
) -> list[tuple[int, float]]:
    """Run a sweep and return the finished trials with their time, from none to all."""
    begun = time.perf_counter()
    progress = [(0, 0.0)]
    sweep = client.sweeps.begin(spec(case, trials, seed) | changes)
    while sweep["status"] != "finished":
        time.sleep(0.1)
        sweep = client.sweeps.get(sweep["id"])
        progress.append((sweep["trials"].get("finished", 0), time.perf_counter() - begun))
    if sweep["trials"] != {"finished": trials}:
        raise RuntimeError(f"not all trials finished: {sweep['trials']}")
    return progress


def between(progress: list[tuple[int, float]], first: int, last: int) -> float:
    """Return the mean seconds of a trial from the `first` finished one to the `last`."""
    early = next(point for point in progress if point[0] >= first)
    late = next(point for point in progress if point[0] >= last)
    return (late[1] - early[1]) / (late[0] - early[0])


def spec(case: Case, trials: int, seed: int) -> dict[str, Any]:
    """The SweepSpec of a case."""
    rate = {"kind": "float", "low": LOW, "high": HIGH, "log": True}
    return {
        "name": case.name,
        "job": {
            "experiment": case.name,
            "dataset": case.name,
            "data": {"target": "label", "split": {"train": 0.8, "valid": 0.2, "test": 0}},
            "network": [
                {"kind": "dense", "units": case.hidden},
                {"kind": "relu"},
                {"kind": "dense", "units": case.classes},
            ],
            "loss": {"kind": "cross_entropy"},
            "optimizer": {"kind": "adam", "learning_rate": 0.001},
            "batch_size": case.batch,
            "epochs": case.epochs,
            "metrics": [{"kind": "accuracy"}],
        },
        "search_space": {
            "optimizer.learning_rate": rate,
            "seed": {"kind": "int", "low": 0, "high": 1_000_000},
        },
        "objective": {"metric": "valid/accuracy", "direction": "maximize"},
        "sampler": {"kind": "random", "seed": seed},
        "n_trials": trials,
        "max_parallel": 256,
    }
