"""What stands before MLflow: exact origins, a token, and no assistant.

MLflow itself serves pages of any port of this machine, and has no login.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
"""Path of the assistant, which runs commands for any client on this machine."""

PUBLIC = frozenset({"/health", "/version"})
"""Paths that need no token."""

Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]
Receive = Callable[[], Awaitable[Scope]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guard:
    """ASGI middleware that refuses the assistant, pages of other sites, and clients without token.

    The token arrives as `Authorization: Bearer TOKEN`, or as the password of HTTP Basic, for which
    browsers ask. Without a token everybody who reaches the port is served. `origins` are those that
    may use MLflow in addition to its own pages, such as `https://mlflow.example`.
    """

    def __init__(self, app: App, token: str, origins: Collection[str]) -> None:
        self._app = app
        self._digest = _digest(token) if token else None
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it before its body is read."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if ASSISTANT in scope["path"].lower():
            await _refuse(send, 404, "not offered here")
        elif not self._own(headers.get(b"origin"), headers.get(b"host", "")):
            await _refuse(send, 403, "requests from pages of other sites are refused")
        elif scope["path"] not in PUBLIC and not self._authenticated(
            headers.get(b"authorization", "")
        ):
            await _refuse(send, 401, "send the token of Chainrule: as a bearer, or as the password")
        else:
            await self._app(scope, receive, send)

    def _own(self, origin: str | None, host: str) -> bool:
        """Whether a request comes from a page of MLflow, from an allowed one or from none."""
        if origin is None or origin in self._origins:
            return True
        try:
            return urlsplit(origin).netloc.lower() == host.lower() != ""
        except ValueError:
            return False

    def _authenticated(self, authorization: str) -> bool:
        scheme, _, sent = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                sent = base64.b64decode(sent, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                sent = ""
        elif scheme.lower() != "bearer":
            sent = ""
        # Digests have equal lengths, so the comparison takes constant time.
        return self._digest is None or hmac.compare_digest(_digest(sent), self._digest)


async def _refuse(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="MLflow of Chainrule"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
