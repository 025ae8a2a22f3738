"""Authentication: one bearer token for the whole server, if the server has one.

It is checked before the body of a request is read. An address that sends many wrong tokens is
refused for a while.
"""

import hashlib
import hmac
import ipaddress
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.problems import problem

OWNER = "local"
"""The owner of every resource, because all clients share one token."""

PUBLIC = frozenset({"/", "/docs", "/favicon.ico", "/openapi.json", "/healthz", "/readyz"})
"""Paths that need no token; neither do the files of the documentation, below /docs/."""

WINDOW_SECONDS = 60.0
KNOWN_SECONDS = 3600.0
"""How long an address that sent the right token is served in spite of wrong ones."""
MAX_ADDRESSES = 10_000

logger = logging.getLogger("chainrule.api")

bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="CHAINRULE_API_TOKEN of the server"
)


@dataclass
class _Address:
    """The wrong tokens of an address since `since`, and when it last sent the right one."""

    since: float = -math.inf
    wrong: int = 0
    right_at: float = -math.inf


class Guesses:
    """Counts wrong tokens by client address, of the last 10,000 addresses.

    `per_minute`: wrong tokens after which an address is refused until a minute has passed; 0: no
    limit. IPv6 addresses of one /64 network count as one, because a client may use all of them.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    def wait_seconds(self, client: str, *, right: bool) -> int:
        """How long this client must wait until its token is checked; 0: it is checked now.

        The right token of an address that sent it in the last hour is not delayed: other clients
        behind the same proxy may send wrong ones.
        """
        address = self._addresses.get(_network(client))
        if address is None or not self._per_minute or address.wrong < self._per_minute:
            return 0
        now = self._clock()
        if right and now - address.right_at < KNOWN_SECONDS:
            return 0
        return max(0, math.ceil(address.since + WINDOW_SECONDS - now))

    def record(self, client: str, *, right: bool) -> None:
        """Count a token that was checked."""
        key = _network(client)
        address = self._addresses.setdefault(key, _Address())
        self._addresses.move_to_end(key)
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        now = self._clock()
        if right:
            address.right_at = now
            return
        if now - address.since >= WINDOW_SECONDS:
            address.since, address.wrong = now, 0
        address.wrong += 1
        if address.wrong == self._per_minute:
            logger.warning("%s sent %d wrong tokens: refused for a minute", key, address.wrong)


class Authentication:
    """ASGI middleware that refuses requests without the token before their body is read."""

    def __init__(self, app: ASGIApp, token: str, guesses: Guesses) -> None:
        self.app = app
        # Digests have equal lengths, so the comparison takes constant time.
        self._digest = _digest(token) if token else None
        self._guesses = guesses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and not _public(scope["path"]):
            if self._digest is not None and (refusal := self._refusal(scope, self._digest)):
                await refusal(scope, receive, send)
                return
            scope.setdefault("state", {})["owner"] = OWNER
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope, digest: bytes) -> Response | None:
        """The response to a request without the token of this digest, or None."""
        scheme, sent = get_authorization_scheme_param(Headers(scope=scope).get("authorization"))
        sent = sent if scheme.lower() == "bearer" else ""
        right = hmac.compare_digest(_digest(sent), digest)
        if sent:
            client = scope["client"][0] if scope.get("client") else ""
            if wait := self._guesses.wait_seconds(client, right=right):
                detail = f"too many wrong tokens came from this address: wait {wait} seconds"
                return problem(scope, 429, detail, headers={"Retry-After": str(wait)})
            self._guesses.record(client, right=right)
        if right:
            return None
        detail = "send the token of this server: Authorization: Bearer <CHAINRULE_API_TOKEN>"
        return problem(scope, 401, detail, headers={"WWW-Authenticate": 'Bearer realm="chainrule"'})


def owner(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
) -> str:
    """The owner that a request acts for. Raises a 401 on a path that needs no token.

    `bearer` puts the token into the OpenAPI document; the middleware has checked it.
    """
    authenticated: str | None = getattr(request.state, "owner", None)
    if authenticated is None:
        raise HTTPException(401)
    return authenticated


Owner = Annotated[str, Depends(owner)]
"""Parameter of an endpoint: the owner that the request acts for."""


def _public(path: str) -> bool:
    return path in PUBLIC or path.startswith("/docs/")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _network(client: str) -> str:
    """The address of a client, of IPv6 its /64 network."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)
