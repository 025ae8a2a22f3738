"""Fixtures: a real MLflow server, one process, shared by all tests of a session."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.brokers import free_port


class Tracker:
    """An MLflow server on a loopback port that a test may stop and start again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; it takes some ten seconds until it answers."""
        database = self.folder / "mlflow.sqlite"
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        store = {
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{database}",
            "_MLFLOW_SERVER_REGISTRY_STORE": f"sqlite:///{database}",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": (self.folder / "artifacts").as_uri(),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app",
                 "--host", "127.0.0.1", "--port", str(self.port)],
                env={**os.environ, **store},
                stdout=log,
                stderr=log,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait until it answers."""
        give_up_at = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.2)
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < give_up_at, "MLflow did not start"

    def stop(self) -> None:
        """Kill it; its database stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop it with SIGSTOP: it holds its connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def wipe(self) -> int:
        """Delete the database of the stopped server; the number of files."""
        files = list(self.folder.glob("mlflow.sqlite*"))
        for file in files:
            file.unlink()
        return len(files)

    def get(self, what: str, **query: str) -> dict[str, Any]:
        """The response of its REST API, requested without our client."""
        answer = httpx.get(f"{self.url}/api/2.0/mlflow/{what}", params=query, timeout=30)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def run(self, run_id: str) -> dict[str, Any]:
        """One run."""
        run: dict[str, Any] = self.get("runs/get", run_id=run_id)["run"]
        return run

    def history(self, run_id: str, key: str) -> list[tuple[int, float, int]]:
        """Step, value and timestamp of every point of a metric, by step."""
        answer = self.get("metrics/get-history", run_id=run_id, metric_key=key)
        return sorted((p["step"], p["value"], p["timestamp"]) for p in answer.get("metrics", []))


@pytest.fixture(scope="session")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A running MLflow server that all tests of a session share."""
    server = Tracker(tmp_path_factory.mktemp("mlflow"), free_port())
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.stop()
