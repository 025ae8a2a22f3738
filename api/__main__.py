"""Runs the api: `python -m api`, configured by CHAINRULE_* variables."""

import logging
import resource
import sys
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from api.app import MAX_REQUESTS, create_app
from api.http.connections import Connections, protocol
from core.errors import ChainruleError
from core.sandbox.policy import Policy
from core.sandbox.probe import probe, summary
from core.sandbox.process import hide_memory
from core.settings import Settings, forget_secrets

logger = logging.getLogger("chainrule.api")

HEALTH_RESERVE = 24
"""Connections beyond the requests that are served at once, for health checks."""
OTHER_FILES = 200
"""Files that the process opens for other things than connections."""


def main() -> int:
    """Serve until a signal stops the process. Returns the exit code."""
    hide_memory()
    try:
        settings = Settings()
        forget_secrets()
    except ValidationError as error:
        for invalid in error.errors():
            where = ".".join(str(step) for step in invalid["loc"]) or "settings"
            print(f"chainrule api: {where}: {invalid['msg']}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        app = create_app(settings)
    except ChainruleError as error:
        print(f"chainrule api: {error.detail}", file=sys.stderr)  # noqa: T201
        return 2
    sandbox = probe(Policy())
    if any(sandbox.values()):
        logger.warning("uploads are parsed with these parts of the sandbox: %s", summary(sandbox))
    connections = Connections(max_connections(), settings.max_connections_per_address)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        server_header=False,
        http=protocol(connections),
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=64 * 2**10,
    )
    server = _Server(config, app)
    with suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else 3


def max_connections() -> int:
    """The most connections: some more than requests, and not all the files of this process."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_REQUESTS + HEALTH_RESERVE
    return wanted if files == resource.RLIM_INFINITY else max(64, min(wanted, files - OTHER_FILES))


class _Server(uvicorn.Server):
    """Tells the app that the server is stopping, so that event streams end at once."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal that stops the server."""
        self._app.state.context.closing.set()
        super().handle_exit(sig, frame)


if __name__ == "__main__":
    sys.exit(main())
