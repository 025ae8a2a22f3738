"""The application that uvicorn runs as MLflow: the original one behind a guard, with our page.

Its tables are created before the port opens, so that the first request does not wait for them, and
in such a way that a kill does no harm. Only the process of the server imports this module.
"""

import os
import re
from pathlib import Path

from mlflow.environment_variables import MLFLOW_SERVER_CORS_ALLOWED_ORIGINS
from mlflow.exceptions import MlflowException
from mlflow.server import app as pages
from mlflow.server import constants, handlers
from mlflow.server.fastapi_app import app as real

from chainrule.stack.mlflow_database import prepare
from chainrule.stack.mlflow_guard import Guard
from chainrule.stack.mlflow_page import with_defaults

_ROOT = "mlflow-artifacts:/"


def _inside(location: str) -> bool:
    """Whether a location is below the artifact root of this server."""
    path = location.removeprefix(_ROOT)
    parts = re.split(r"[/\\]", path)
    return path != location and parts[0] not in {"", ".."} and not {*parts, *path} & {*"?#%", ".."}


_validate = handlers._validate_storage_location_uri


def _validate_inside(location: str, field: str) -> str:
    """Refuse experiments whose files would lie elsewhere, such as in `file:///home`."""
    if not _inside(location):
        raise MlflowException.invalid_parameter_value(
            f"{field}: files lie in the artifact root of this server; leave it empty"
        )
    return str(_validate(location, field))


_page = with_defaults((Path(str(pages.static_folder)) / "index.html").read_text("utf-8"))

handlers._validate_storage_location_uri = _validate_inside
# The view of `/` sends MLflow's file as it is.
pages.view_functions["serve"] = lambda: (_page, {"Cache-Control": "no-cache"})
prepare(os.environ[constants.BACKEND_STORE_URI_ENV_VAR])
handlers.initialize_backend_stores(
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR],
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR],
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR],
)
app = Guard(
    real,
    os.environ.get("CHAINRULE_MLFLOW_TOKEN", ""),
    [origin.strip() for origin in (MLFLOW_SERVER_CORS_ALLOWED_ORIGINS.get() or "").split(",")],
)
