"""Whether MLflow answers: asked once a second, less often while it does not."""

import time

import structlog

from core.tracking import MlflowServer

log = structlog.get_logger()

_SECONDS = 1.0
_MAX_SECONDS = 5.0


class Availability:
    """Remembers the last answer of a server's health check for a second or longer."""

    def __init__(self, server: MlflowServer) -> None:
        self._server = server
        self._answered = False
        self._pause = _SECONDS
        self._ask_at = 0.0

    def check(self) -> bool:
        """Whether the server answers, or did so a moment ago."""
        if time.monotonic() < self._ask_at:
            return self._answered
        answered = self._server.healthy()
        if answered != self._answered:
            log.info("MLflow answers" if answered else "MLflow does not answer")
        self._answered = answered
        self._pause = _SECONDS if answered else min(1.5 * self._pause, _MAX_SECONDS)
        self._ask_at = time.monotonic() + self._pause
        return answered
