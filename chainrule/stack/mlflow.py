"""The embedded MLflow server: one process with its own database file and artifacts."""

import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from chainrule.stack.options import LOOPBACK
from chainrule.stack.process import Command

HOST = "127.0.0.1"


def command(
    folder: Path, port: int, env: Mapping[str, str], token: str = "", *, host: str = HOST
) -> Command:
    """Return the command of MLflow at an address, with all its files in `folder`.

    `env` is the environment that it inherits, `token` what its clients must send. `mlflow server`
    would start workers and a job runner that outlive a signal. The application under uvicorn is one
    process that stops cleanly. Beyond loopback the names of this machine are not known: the guard,
    which asks for the token, refuses pages of other origins there.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = folder / "mlflow.sqlite"
    local, names = host in LOOPBACK, [f"{name}:{port}" for name in ("127.0.0.1", "localhost")]
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{database}",
        "_MLFLOW_SERVER_REGISTRY_STORE": f"sqlite:///{database}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": (folder / "artifacts").as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(names) if local else "*",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": (
            ",".join(f"http://{name}" for name in names) if local else "*"
        ),
        "CHAINRULE_MLFLOW_TOKEN": token,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # Its own imports cause warnings.
        "PYTHONWARNINGS": "ignore",
    }
    argv = (
        *(sys.executable, "-m", "uvicorn", "chainrule.stack.mlflow_app:app"),
        *("--host", host, "--port", str(port)),
        *("--log-level", "warning", "--timeout-graceful-shutdown", "2"),
    )
    return Command("mlflow", argv, {**env, **settings})


def answers(url: str) -> bool:
    """Return whether an MLflow server answers at `url`."""
    try:
        return httpx.get(f"{url.rstrip('/')}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
