"""Pages of other sites must not speak to an api that knows no token."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.problems import problem

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOrigin:
    """ASGI middleware that refuses what a browser sends on behalf of another site.

    Together with trusted hosts it keeps a page a person happens to look at from reaching the api
    on their own machine, directly or through a name that it makes point there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and not _same(origin, headers.get("host", "")):
                detail = "requests from pages of other sites are refused"
                await problem(scope, 403, detail)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:
        return False
