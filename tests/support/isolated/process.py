"""MLflow in a process that cannot import Chainrule: what every other user of MLflow sees."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def scored(model: Path | str, rows: list[Any], folder: Path, **environment: str) -> dict[str, Any]:
    """What a model that MLflow can load, a folder or an address, says for rows."""
    return _run_json([FOLDER / "scorer.py", model], folder, environment, json.dumps(rows))


def read(experiment: str, filter_string: str, url: str, folder: Path) -> dict[str, Any]:
    """All there is of the run that MLflow's client finds; its files are brought to `folder`."""
    return _run_json(
        [FOLDER / "reader.py", experiment, filter_string], folder, {"MLFLOW_TRACKING_URI": url}
    )


def _run_json(
    command: list[Path | str], folder: Path, environment: dict[str, str], stdin: str = ""
) -> dict[str, Any]:
    done = alone(command, folder, environment, stdin)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def alone(
    command: list[Path | str], folder: Path, environment: dict[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a script and its arguments where the packages of this project cannot be imported."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-I", FOLDER / "launcher.py", *command],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=folder,
        env={**os.environ, **environment},
    )
