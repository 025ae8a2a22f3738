"""The outermost middleware: adds headers and turns errors into problem documents."""

import logging
import time
import uuid
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import problem
from api.metrics import Instruments

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT = "default-src 'none'; frame-ancestors 'none'"
PAGES = (
    "default-src 'none'; frame-ancestors 'none'; connect-src 'self'; "
    "img-src 'self' data:; script-src 'self'; style-src 'self'"
)
_KEPT = ("allow", "retry-after", "www-authenticate")

logger = logging.getLogger("chainrule.api")


class ResponseGuard:
    """ASGI middleware that adds headers, counts requests and hides tracebacks from clients."""

    def __init__(self, app: ASGIApp, instruments: Instruments) -> None:
        self.app = app
        self.instruments = instruments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        response = _Response(scope, receive, send)
        started_at = time.perf_counter()
        try:
            await self.app(scope, receive, response.send)
        except ClientDisconnect:
            logger.info("request %s: the client disconnected", request_id)
        except Exception:
            logger.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            if response.started:
                raise
            detail = (
                f"an internal error occurred; see request {request_id} in the log of the server"
            )
            await problem(scope, 500, detail)(scope, receive, response.send)
        finally:
            self.instruments.observe(scope, response.status, time.perf_counter() - started_at)


class _Response:
    """Sends a response on, with headers; replaces a plain-text error by a problem document."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._replaced: Message | None = None
        self._text = b""
        self.started = False
        self.status = 0

    async def send(self, message: Message) -> None:
        """Process the next message of the response."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            if message["status"] >= 400 and headers.get("content-type", "").startswith("text/"):
                self._replaced = message
                return
            self._add_headers(headers)
            self.started, self.status = True, message["status"]
        elif self._replaced is not None:
            self._text += message.get("body", b"")
            if not message.get("more_body", False):
                await self._replace(self._replaced)
            return
        await self._send(message)

    async def _replace(self, start: Message) -> None:
        self._replaced = None
        headers = MutableHeaders(raw=start["headers"])
        kept = {name: headers[name] for name in _KEPT if name in headers}
        detail = self._text.decode("utf-8", "replace")
        response = problem(self._scope, start["status"], detail, headers=kept)
        await response(self._scope, self._receive, self.send)

    def _add_headers(self, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        html = headers.get("content-type", "").startswith("text/html")
        headers.setdefault("Content-Security-Policy", PAGES if html else STRICT)
        headers.setdefault("Cache-Control", "no-store")
        state: dict[str, Any] = self._scope["state"]
        headers["X-Request-ID"] = state["request_id"]
