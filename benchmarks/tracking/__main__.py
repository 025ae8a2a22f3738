"""`make bench-tracking`: metric points to one MLflow server, by its client's ways and by ours.

The same points to the same server from one process, the ways in turn, each warmed up. Ours is the
whole way: chunks in a database first, then the mirror, until MLflow has them. Then training that
reports every tenth update, each way as it is used: MLflow's client in the process that trains,
against nothing there; ours by a worker's slot, whose runner is a process of its own, against the
same runner while nobody records. Last, how long after it happened MLflow shows a step.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from benchmarks.ports import free_port
from benchmarks.predictions.__main__ import serving
from benchmarks.results import Row, at_least, at_most, figure, publish
from benchmarks.tracking.service import Ours
from chainrule.stack import mlflow as server
from core.data.ingest.parser import parse
from core.events import EpochEnded, Event, StepEnded
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.training.loop import train

DIGITS_CSV = Path(__file__).parents[2] / "examples" / "digits.csv"
KEYS = ("train/loss", "train/accuracy", "valid/loss", "valid/accuracy")
BATCH = 1000
PAIRS = 15
"""Rounds of training in a runner: a difference of some percent needs many."""

Way = Callable[[int], None]
"""Sends the metrics of so many steps and returns when the server has them."""
Sink = Callable[[Event], None]


def main() -> None:
    """Measure and publish."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--steps", type=int, default=2500, help="steps of four points each")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--epochs", type=int, default=400, help="of the training that is slowed")
    given = asked.parse_args()
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    with tempfile.TemporaryDirectory() as folder, tracker(Path(folder) / "mlflow") as url:
        mlflow.set_tracking_uri(url)
        mlflow.set_experiment("bench")
        with Ours(Path(folder) / "ours", DIGITS_CSV, url) as ours:
            rows = rates(ours, given.steps, given.rounds)
            rows += slowdowns(ours, Path(folder), given.rounds, given.epochs)
            rows += delay(ours, 4 * given.epochs)
    publish("tracking", rows)


@contextmanager
def tracker(folder: Path) -> Iterator[str]:
    """The address of a server as `chainrule up` starts it."""
    port = free_port()
    command = server.command(folder, port, {})
    with serving(list(command.argv), dict(command.env), f"http://127.0.0.1:{port}/health"):
        yield f"http://127.0.0.1:{port}"


def values(step: int) -> dict[str, float]:
    """Return the metrics of a step."""
    return {key: 1.0 / (step + number + 1) for number, key in enumerate(KEYS)}


def log_metric(steps: int) -> None:
    """Send one request for each point."""
    with mlflow.start_run():
        for step in range(steps):
            for key, value in values(step).items():
                mlflow.log_metric(key, value, step=step)


def log_metrics(steps: int) -> None:
    """Send one request for each step."""
    with mlflow.start_run():
        for step in range(steps):
            mlflow.log_metrics(values(step), step=step)


def asynchronous(steps: int) -> None:
    """Send one request for each step, from MLflow's own queue."""
    with mlflow.start_run():
        for step in range(steps):
            mlflow.log_metrics(values(step), step=step, synchronous=False)
        mlflow.flush_async_logging()


def log_batch(steps: int) -> None:
    """Send as many points in a request as the server accepts."""
    client = MlflowClient()
    with mlflow.start_run() as run:
        points = [
            Metric(key, value, int(1000 * time.time()), step)
            for step in range(steps)
            for key, value in values(step).items()
        ]
        for start in range(0, len(points), BATCH):
            client.log_batch(run.info.run_id, metrics=points[start : start + BATCH])


def rates(ours: Ours, steps: int, rounds: int) -> list[Row]:
    """Points a second of each way; slow ways send fewer."""
    few = max(50, steps // 20)
    ways: dict[str, tuple[Way, int]] = {
        "log_metric": (log_metric, few),
        "log_metrics": (log_metrics, few),
        "asynchronous log_metrics": (asynchronous, few),
        "log_batch": (log_batch, steps),
        "ours": (lambda count: ours.send([values(step) for step in range(count)]), steps),
    }
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (way, count) in ways.items():
            begun = time.perf_counter()
            way(count)
            if number:
                samples[name].append(count * len(KEYS) / (time.perf_counter() - begun))
    rate = {name: statistics.median(measured) for name, measured in samples.items()}
    return [
        *(figure(f"{name}, to MLflow", value, "points/s") for name, value in rate.items()),
        at_least("ours / log_metric", rate["ours"] / rate["log_metric"], "x", 10.0),
        at_least("ours / log_batch", rate["ours"] / rate["log_batch"], "x", 0.9),
        figure("ours / asynchronous", rate["ours"] / rate["asynchronous log_metrics"], "x"),
    ]


def slowdowns(ours: Ours, folder: Path, rounds: int, epochs: int) -> list[Row]:
    """How much longer training takes with each way, from its first to its last event."""
    digits = parse(DIGITS_CSV, "text/csv", folder / "digits.arrow")
    changes = {"epochs": epochs, "report_steps": 10}
    spec = JobSpec.model_validate({**DIGITS, **changes})

    def trained(sink: Sink) -> float:
        begun = 0.0
        for event in train(spec, digits.path, folder):
            if isinstance(event, StepEnded | EpochEnded):
                begun = begun or time.perf_counter()
                sink(event)
        return time.perf_counter() - begun

    def logged(synchronous: bool) -> float:
        with mlflow.start_run():
            taken = trained(
                lambda e: mlflow.log_metrics(e.metrics, step=e.step, synchronous=synchronous)  # type: ignore[attr-defined]
            )
            mlflow.flush_async_logging()
        return taken

    ways: dict[str, Callable[[], float]] = {
        "nothing": lambda: trained(lambda _: None),
        "log_metrics": lambda: logged(True),
        "asynchronous log_metrics": lambda: logged(False),
    }
    in_runner: dict[str, Callable[[], float]] = {
        "a runner alone": lambda: ours.alone(changes),
        "ours": lambda: ours.recorded(changes),
    }
    usual = in_turn(ways, rounds) | in_turn(in_runner, PAIRS)
    return [
        figure("training alone", usual["nothing"], "s"),
        figure("training alone, in a runner", usual["a runner alone"], "s"),
        *(
            figure(f"slower with {name}", 100 * (usual[name] / usual["nothing"] - 1), "%")
            for name in ("log_metrics", "asynchronous log_metrics")
        ),
        at_most("slower with ours", 100 * (usual["ours"] / usual["a runner alone"] - 1), "%", 2.0),
    ]


def in_turn(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each way takes, one after the other, after a round to warm up."""
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            taken = way()
            if number:
                samples[name].append(taken)
    return {name: statistics.median(measured) for name, measured in samples.items()}


def delay(ours: Ours, epochs: int) -> list[Row]:
    """How long after it happened MLflow shows a step, while training goes on."""
    late = np.array(ours.delays({"epochs": epochs, "report_steps": 10}))
    return [
        figure("a step seen in MLflow, median", float(np.quantile(late, 0.5)), "s"),
        at_most("a step seen in MLflow, 99 of 100", float(np.quantile(late, 0.99)), "s", 3.0),
    ]


if __name__ == "__main__":
    main()
