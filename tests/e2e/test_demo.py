"""`chainrule demo` does what it says and leaves nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.e2e


def test_the_demonstration(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path), "CHAINRULE_DATABASE_URL": "nonsense://"}
    ended = subprocess.run(
        [sys.executable, "-m", "chainrule.cli", "demo", "--json"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert summary["test_accuracy"] >= 0.97
    # Counted from predictions here, reported by the job there: one network.
    assert summary["test_accuracy"] == pytest.approx(summary["reported_test_accuracy"], abs=1e-3)
    assert summary["held_out_rows"] == 180
    assert summary["status"] == "finished"
    assert summary["mlflow_status"] == "FINISHED"
    assert summary["mlflow_run_id"] in summary["mlflow_url"]
    assert {"start", "upload", "train", "predict", "mlflow", "stop", "total"} <= {
        *summary["seconds"]
    }
    assert "waiting" in ended.stderr
    assert list(tmp_path.iterdir()) == []
    assert not [one for one in psutil.process_iter() if _from(one, tmp_path)]


def _from(process: psutil.Process, folder: Path) -> bool:
    try:
        return str(folder) in process.environ().get("CHAINRULE_DATA_DIR", "")
    except psutil.Error:
        return False
