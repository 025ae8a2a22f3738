"""The application that uvicorn runs as MLflow: the original one without its assistant.

Its tables are created before the port opens, so that the first request does not wait for them, and
in such a way that a kill does no harm. Only the process of the server imports this module.
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mlflow.server import constants, handlers
from mlflow.server.fastapi_app import app as real

from chainrule.stack.mlflow_database import prepare

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
"""Path of the assistant, which runs commands for any client on this machine."""

Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]
Receive = Callable[[], Awaitable[Scope]]

prepare(os.environ[constants.BACKEND_STORE_URI_ENV_VAR])
handlers.initialize_backend_stores(
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR],
    os.environ[constants.REGISTRY_STORE_URI_ENV_VAR],
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR],
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request, except to the assistant."""
    if ASSISTANT in scope.get("path", "").lower():
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"not offered here"})
        return
    await real(scope, receive, send)
