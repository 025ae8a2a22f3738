"""A real `chainrule up` to drive through REST, and what it takes to wait for things."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

DIGITS = Path(__file__).parents[2] / "examples" / "digits.csv"
SPEC: dict[str, Any] = {
    "experiment": "digits",
    "dataset": "digits@1",
    "data": {"target": "label", "split": {"train": 0.8, "valid": 0.1, "test": 0.1}},
    "network": [{"kind": "dense", "units": 64}, {"kind": "relu"}, {"kind": "dense", "units": 10}],
    "loss": {"kind": "cross_entropy"},
    "optimizer": {"kind": "adam", "learning_rate": 0.001},
    "batch_size": 32,
    "epochs": 12,
    "seed": 7,
    "metrics": [{"kind": "accuracy"}],
    "tags": {"team": "a"},
}
ENDLESS = {**SPEC, "epochs": 1_000_000}
TERMINAL = {"finished", "failed", "cancelled", "pruned"}
LIMIT_SECONDS = 150.0

Document = dict[str, Any]


def until(
    condition: Callable[[], Any], what: str, limit_seconds: float = LIMIT_SECONDS, show: Any = None
) -> Any:
    """The first true answer of `condition`."""
    give_up_at = time.monotonic() + limit_seconds
    while not (answer := condition()):
        assert time.monotonic() < give_up_at, f"{what}: not in time\n{show() if show else ''}"
        time.sleep(0.1)
    return answer


class Up:
    """A running `chainrule up` on ports and in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.folder, self.log = folder, folder.with_suffix(".log")
        clean = {name: text for name, text in os.environ.items() if "CHAINRULE" not in name}
        given = ("--data-dir", str(folder), "--port", "0", "--mlflow-port", "0", *arguments)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chainrule.cli", "up", *given],
                env={**clean, **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.known: set[psutil.Process] = set()
        state = until(self._state, "the stack starts", show=self.said)
        self.http = httpx.Client(base_url=state["api_url"], timeout=60)
        self.mlflow = httpx.Client(base_url=state["mlflow_url"], timeout=60)
        self.remember()

    def said(self) -> str:
        """The end of what all processes said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])

    def _state(self) -> Document | None:
        assert self.process.poll() is None, self.said()
        with suppress(OSError, ValueError):
            state: Document = json.loads((self.folder / "up.json").read_text())
            return state if state["pid"] == self.process.pid else None
        return None

    def remember(self) -> None:
        """Note all processes that run below now."""
        self.known |= set(psutil.Process(self.process.pid).children(recursive=True))

    def left(self) -> list[str]:
        """Processes of this stack that still run."""
        strays = [one for one in psutil.process_iter() if _belongs(one, self.folder)]
        return [_named(one) for one in {*self.known, *strays} if _runs(one)]

    def child(self, name: str) -> psutil.Process:
        """The process of the stack whose command line ends with `-m NAME`."""
        for one in psutil.Process(self.process.pid).children():
            if one.cmdline()[-2:] == ["-m", name]:
                return one
        raise AssertionError(f"no process {name}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end; its exit code."""
        self.remember()
        self.http.close()
        self.mlflow.close()
        self.process.send_signal(how)
        return self.process.wait(LIMIT_SECONDS)

    def upload(self, name: str = "digits") -> Document:
        """Upload the digits as raw bytes."""
        answer = self.http.post(
            f"/v1/datasets/{name}/versions",
            content=DIGITS.read_bytes(),
            headers={"Content-Type": "text/csv"},
        )
        assert answer.status_code == 201, answer.text
        version: Document = answer.json()
        return version

    def submit(self, spec: Document) -> str:
        """Queue a job; its id."""
        answer = self.http.post("/v1/jobs", json=spec)
        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == "queued"
        job_id: str = answer.json()["id"]
        return job_id

    def job(self, job_id: str) -> Document:
        """A job as it stands."""
        answer = self.http.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: Document = answer.json()
        return job

    def reach(self, job_id: str, *states: str) -> Document:
        """The job once it is in one of the states, and in none it cannot leave but those."""

        def there() -> Document | None:
            job = self.job(job_id)
            ended_otherwise = job["status"] in TERMINAL and job["status"] not in states
            assert not ended_otherwise, f"{job['status']}: {job['cause']}\n{self.said()}"
            return job if job["status"] in states else None

        found: Document = until(there, f"job {' or '.join(states)}", show=self.said)
        return found

    def run_in_mlflow(self, job_id: str, status: str) -> Document:
        """The job's run as MLflow itself tells of it, once it has that status."""

        def there() -> Document | None:
            run_id = self.job(job_id)["mlflow_run_id"]
            if run_id is None:
                return None
            with suppress(httpx.TransportError):
                answer = self.mlflow.get("/api/2.0/mlflow/runs/get", params={"run_id": run_id})
                if answer.is_success and answer.json()["run"]["info"]["status"] == status:
                    run: Document = answer.json()["run"]
                    return run
            return None

        found: Document = until(there, f"a run {status} in MLflow", show=self.said)
        return found


def _belongs(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error):
        # The log next to the folder is the test's own.
        return process.environ().get("CHAINRULE_DATA_DIR") == str(folder) or any(
            str(folder) + "/" in word for word in process.cmdline()
        )
    return False


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _named(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return f"{process.pid} {' '.join(process.cmdline())}"
    return str(process.pid)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts stacks and ends them with the test, come what may."""
    started: list[Up] = []

    def start(folder: Path | None = None, *arguments: str, **settings: str) -> Up:
        started.append(Up(folder or tmp_path / "data", *arguments, **settings))
        return started[-1]

    yield start
    for one in started:
        end_for_good(one)


@pytest.fixture(scope="package")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One embedded stack with three workers, and the digits in it, for all who do not break it."""
    one = Up(tmp_path_factory.mktemp("three") / "data", "--workers", "3")
    try:
        one.upload()
        yield one
    finally:
        end_for_good(one)


def end_for_good(one: Up) -> None:
    """End a stack that may have ended already, by force if need be."""
    with suppress(psutil.NoSuchProcess):
        one.remember()
    if one.process.poll() is None:
        one.process.terminate()
        try:
            one.process.wait(60)
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()
    one.http.close()
    one.mlflow.close()
    for stray in one.known:
        with suppress(psutil.NoSuchProcess):
            stray.kill()
