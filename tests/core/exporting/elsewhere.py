"""Score a model with MLflow in a process that can import nothing of ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCORER = Path(__file__).with_name("scorer.py")


def scored(model, rows: list, folder: Path, **environment: str) -> dict:
    """What `scorer.py` finds for rows and a model that MLflow can load, a folder or an address."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-I", SCORER, model],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
