"""Connections of clients, with deadlines and limits: slow clients keep nobody else out.

uvicorn closes connections that are idle between two requests. It waits for ever for the head or the
body of a request, and for a client that does not read its response.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HEAD_SECONDS = 10.0
"""Time for the head of a request, from the connection or from the end of the last response."""
BODY_SECONDS = 40.0
READ_SECONDS = 60.0
MIN_BYTES = 16 * 2**10
"""A client sends at least so many bytes of a body in each `BODY_SECONDS`, or the rest of it, and
takes as many of a response in each `READ_SECONDS`."""


@dataclass
class Connections:
    """The open connections of a server, at most `total`, and `per_address` of one client.

    A new connection beyond a limit replaces the oldest one that has not sent a whole request, of
    the same address first. If all are being served, the new connection is closed.
    """

    total: int
    per_address: int
    _open: Counter[str] = field(default_factory=Counter)
    _waiting: OrderedDict["Connection", None] = field(default_factory=OrderedDict)

    def add(self, connection: "Connection") -> bool:
        """Count a new connection. Returns False if there is no room for it."""
        address = connection.address
        if self._open[address] >= self.per_address and not self._replace(
            lambda other: other.address == address
        ):
            return False
        if self._open.total() >= self.total and not self._replace(lambda _: True):
            return False
        self._open[address] += 1
        self._waiting[connection] = None
        return True

    def mark(self, connection: "Connection", *, waiting: bool) -> None:
        """Note whether a connection waits for the head of a request."""
        if waiting:
            self._waiting.setdefault(connection, None)
        else:
            self._waiting.pop(connection, None)

    def remove(self, connection: "Connection") -> None:
        """Count a closed connection no longer."""
        self._waiting.pop(connection, None)
        self._open[connection.address] -= 1
        if self._open[connection.address] <= 0:
            del self._open[connection.address]

    def _replace(self, may_go: Callable[["Connection"], bool]) -> bool:
        oldest = next(filter(may_go, self._waiting), None)
        if oldest is not None:
            oldest.drop()
        return oldest is not None


class Connection(H11Protocol):
    """A connection with deadlines for the head and body of a request and for reading a response."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.address = ""
        self._all = connections
        self._counted = False
        self._deadline: asyncio.TimerHandle | None = None
        self._awaited = ""
        self._reading: asyncio.TimerHandle | None = None
        self._received_bytes = 0

    def connection_made(  # type: ignore[override] # as in the base class
        self, transport: asyncio.Transport
    ) -> None:
        """Count the connection, or close it if there is no room."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._counted = self._all.add(self)
        if self._counted:
            self._follow()
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place to others."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process bytes of the client."""
        self._received_bytes += len(data)
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._follow()

    def pause_writing(self) -> None:
        """Set the deadline of a client that does not read the response."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """Remove that deadline."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
        self._follow()

    def drop(self) -> None:
        """Close the connection at once."""
        self._forget()
        self.transport.abort()

    def _follow(self) -> None:
        """Set the deadline of what the client has to send next."""
        if self.cycle is not None and not self.cycle.response_complete:
            awaited = "body" if self.cycle.more_body else ""
        else:
            # While the client reads a response, that has a deadline of its own.
            awaited = "" if self.flow.write_paused else "head"
        if self._counted and awaited != self._awaited:
            self._await(awaited)

    def _await(self, awaited: str) -> None:
        self._awaited = awaited
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if awaited == "head":
            # Bytes of a head do not extend its deadline, nor do those of a body that nobody reads.
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.drop)
        elif awaited == "body":
            seen = self._received_bytes
            self._deadline = self.loop.call_later(BODY_SECONDS, self._refuse_slow_body, seen)
        self._all.mark(self, waiting=awaited == "head")

    def _refuse_slow_body(self, seen: int) -> None:
        held_back = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if held_back or self._received_bytes - seen >= MIN_BYTES:
            self._await("body")
        else:
            self.drop()

    def _await_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(READ_SECONDS, self._refuse_slow_reading, unread)

    def _refuse_slow_reading(self, unread: int) -> None:
        if unread - self.transport.get_write_buffer_size() >= MIN_BYTES:
            self._await_reading()
        else:
            self.drop()

    def _forget(self) -> None:
        """Cancel the deadlines, and give the place to others."""
        for timer in (self._deadline, self._reading):
            if timer is not None:
                timer.cancel()
        if self._counted:
            self._counted = False
            self._all.remove(self)


def protocol(connections: Connections) -> type[asyncio.Protocol]:
    """What uvicorn calls for each connection, all of which count in `connections`."""
    return cast(type[asyncio.Protocol], partial(Connection, connections=connections))
