"""`chainrule fit` without a server, then a prediction from its data folder."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from chainrule.demo.sets import iris
from tests.e2e.conftest import Up
from tests.support.brokers import free_port

pytestmark = pytest.mark.e2e


def test_from_a_file_to_a_prediction(tmp_path: Path, up: Callable[..., Up]) -> None:
    with (tmp_path / "iris.csv").open("w", newline="") as file:
        csv.writer(file).writerows(iris())
    folder = tmp_path / "data"
    clean = {name: text for name, text in os.environ.items() if "CHAINRULE" not in name}
    options = ["--url", f"http://127.0.0.1:{free_port()}", "--data-dir", str(folder)]
    ended = subprocess.run(
        [sys.executable, "-m", "chainrule.cli", "fit", "iris.csv", "--json", *options],
        env={**clean, "CHAINRULE_SOURCE": "off"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    assert str(folder) in "".join(ended.stderr.split())
    job = json.loads(ended.stdout)["job"]
    assert job["baseline"]["better"]
    assert job["last_metrics"]["test/accuracy"] > 0.8
    assert json.loads((tmp_path / "job.json").read_text())["dataset"] == "iris@1"
    assert not [process for process in psutil.process_iter() if _belongs(process, folder)]

    server = up(folder)
    rows = [{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}]
    answer = server.http.post(f"/v1/jobs/{job['id']}/predict", json={"rows": rows})
    assert answer.json()["predictions"] == ["setosa"]


def _belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        return bool(process.environ().get("CHAINRULE_DATA_DIR") == str(folder))
    except psutil.Error:
        return False
