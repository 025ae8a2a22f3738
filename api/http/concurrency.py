"""A limit on the requests that are served at once, with a reserve for health checks."""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.problems import RETRY_SECONDS, problem

HEALTH = "/healthz"


class ConcurrencyLimit:
    """ASGI middleware that answers 503 beyond `limit` requests at once, except to health checks."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self._limit = limit
        self._served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] == HEALTH:
            await self.app(scope, receive, send)
            return
        if self._served >= self._limit:
            detail = f"this server already serves {self._limit:,} requests: try again later"
            headers = {"Retry-After": str(RETRY_SECONDS)}
            await problem(scope, 503, detail, headers=headers)(scope, receive, send)
            return
        self._served += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._served -= 1
