"""Run the demonstration; every step is a REST request."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from rich.console import Console

from chainrule.client import Client
from chainrule.client.transport import Document
from chainrule.contract.status import JobStatus
from chainrule.demo import digits
from chainrule.demo.steps import Steps
from chainrule.stack import StackError
from chainrule.stack.options import base_env, mlflow_token
from chainrule.stack.stack import Stack
from chainrule.stack.temporary import await_worker

WANTED_ACCURACY = 0.97
TRAINING_SECONDS = 180.0
MLFLOW_SECONDS = 90.0
SHOWN_ROWS = 4
_GREYS = " ░▒▓█"


@dataclass
class Outcome:
    """Result of the demonstration; `held_out` are pairs of true label and prediction."""

    job: Document
    held_out: list[tuple[int, Any]]
    run: Document

    @property
    def right(self) -> int:
        """Return how many held-out rows are predicted right."""
        return sum(label == prediction for label, prediction in self.held_out)

    @property
    def test_accuracy(self) -> float:
        """Return the share of held-out rows that are predicted right, counted from predictions."""
        return self.right / len(self.held_out)

    @property
    def good(self) -> bool:
        """Return whether the accuracy reaches its goal."""
        return self.test_accuracy >= WANTED_ACCURACY

    def summary(self, seconds: dict[str, float]) -> Document:
        """Return the result as a JSON object."""
        return {
            "test_accuracy": round(self.test_accuracy, 4),
            "reported_test_accuracy": self.job["last_metrics"].get("test/accuracy"),
            "held_out_rows": len(self.held_out),
            "job_id": self.job["id"],
            "status": self.job["status"],
            "epochs": self.job["epochs"],
            "weights_digest": self.job["weights_digest"],
            "mlflow_run_id": self.job["mlflow_run_id"],
            "mlflow_url": self.job["mlflow_url"],
            "mlflow_status": self.run["info"]["status"],
            "mlflow_metrics": len(self.run["data"].get("metrics", [])),
            "mlflow_params": len(self.run["data"].get("params", [])),
            "seconds": seconds,
        }


class Follow(Protocol):
    """Show a job on a console until it ends, and return it."""

    def __call__(
        self, server: Client, job_id: str, *, console: Console, timeout_seconds: float
    ) -> Document:
        """Follow the job. Raises DeadlineError after the timeout."""


def demonstrate(stack: Stack, steps: Steps, follow: Follow) -> Outcome:
    """Upload, train, predict, and look up the run in MLflow. The stack must be running.

    Raises StackError if a step fails.
    """
    test_rows = subprocess.Popen(
        [sys.executable, "-m", "chainrule.demo.holdout"], env=base_env(), stdout=subprocess.PIPE
    )
    with test_rows, Client(stack.addresses.api_url) as server:
        with steps.step("upload", "uploading 1,797 images of handwritten digits"):
            version = server.datasets.upload(digits.DATASET, digits.path())
        steps.console.print(
            f"  {version['name']}@{version['version']}, {version['rows']} rows, "
            f"digest {version['digest'][:12]}"
        )
        with steps.step("worker", "waiting for the worker"):
            await_worker(server, stack)
        job = _train(server, stack, steps, follow)
        with steps.step("predict", "predicting held-out images"):
            rows, numbers = digits.rows(), json.loads(test_rows.communicate()[0])
            images = [rows[number] for number in numbers]
            held_out = _predict(server, job["id"], images)
        show_images(images[:SHOWN_ROWS], held_out, steps)
        with steps.step("mlflow", "waiting until MLflow shows the finished run"):
            job, run = _mirrored(server, job["id"], stack, steps)
    return Outcome(job, held_out, run)


def _train(server: Client, stack: Stack, steps: Steps, follow: Follow) -> Document:
    with steps.step("train", "training 128 relu units for 30 epochs", live=False):
        submitted = server.jobs.submit(digits.SPEC)
        job = follow(
            server, submitted["id"], console=steps.console, timeout_seconds=TRAINING_SECONDS
        )
    if JobStatus(job["status"]) is not JobStatus.FINISHED:
        raise StackError(
            f"the job ended {job['status']}: {job.get('cause')}\n{stack.last_lines('worker')}"
        )
    return job


def _predict(server: Client, job_id: str, rows: list[dict[str, int]]) -> list[tuple[int, Any]]:
    """Return the true label and the prediction of each row. The label is not sent."""
    pixels = [{name: value for name, value in row.items() if name != digits.TARGET} for row in rows]
    predictions = server.jobs.predict(job_id, pixels)["predictions"]
    labels = [row[digits.TARGET] for row in rows]
    return list(zip(labels, predictions, strict=True))


def _mirrored(server: Client, job_id: str, stack: Stack, steps: Steps) -> tuple[Document, Document]:
    """Wait for the run of the job. Returns the job and the run, as MLflow returns it."""
    give_up_at = time.monotonic() + MLFLOW_SECONDS
    shown = ""
    while time.monotonic() < give_up_at:
        job = server.jobs.get(job_id)
        run = _run(stack.addresses.mlflow_url, job.get("mlflow_run_id"))
        if run is not None and run["info"]["status"] == "FINISHED":
            return job, run
        ready = stack.mlflow_answers()
        text = "MLflow is up; the run is being written" if ready else "MLflow is still starting"
        if text != shown:
            steps.waiting(text)
        shown = text
        time.sleep(0.3)
    raise StackError(f"MLflow has no finished run of job {job_id} after {MLFLOW_SECONDS:g} s")


def _run(mlflow_url: str, run_id: str | None) -> Document | None:
    if not run_id:
        return None
    token = mlflow_token()
    try:
        answer = httpx.get(
            f"{mlflow_url}/api/2.0/mlflow/runs/get",
            params={"run_id": run_id},
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=5,
        )
        run: Document | None = answer.json()["run"] if answer.is_success else None
    except httpx.HTTPError:
        return None
    return run


def show_images(rows: list[dict[str, int]], held_out: list[tuple[int, Any]], steps: Steps) -> None:
    """Draw some images in a row, with their predictions below."""
    for y in range(8):
        lines = ("".join(_GREYS[row[f"p{y}{x}"] // 4] * 2 for x in range(8)) for row in rows)
        steps.console.print("  " + "  ".join(lines), markup=False)
    names = (
        f"{f'predicted {prediction}' + ('' if prediction == label else f' (is {label})'):<16}"
        for label, prediction in held_out
    )
    steps.console.print("  " + "  ".join(name for name, _ in zip(names, rows, strict=False)))
