"""What uvicorn runs as MLflow: the real application behind a narrow door.

Its tables are made before the port opens, so that the first request does not wait for them, and
such that a kill meanwhile does no harm. Only the server's process imports this.
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mlflow.server import constants, handlers
from mlflow.server.fastapi_app import app as real

from chainrule.stack.mlflow_database import prepare

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
"""Runs commands for whoever looks local, and on this machine everybody does."""

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
    """Serve a request, unless it asks for the assistant."""
    if ASSISTANT in scope.get("path", "").lower():
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"not offered here"})
        return
    await real(scope, receive, send)
