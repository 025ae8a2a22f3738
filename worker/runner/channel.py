"""Messages between a worker's child and its runner: framed JSON over a socket pair.

A frame is four bytes of length, big-endian, and that many bytes of a JSON object. No pickle: the
runner executes what strangers specified, and what it sends back is plain data.
"""

import json
import select
import socket
import struct
import threading
from typing import Any, Self

Message = dict[str, Any]

_LENGTH = struct.Struct(">I")
_MOST_BYTES = 64 * 2**20
_PIECE_BYTES = 2**16


class ChannelClosedError(Exception):
    """The other end is gone or sent a malformed frame."""


class Channel:
    """One end of a socket pair. Several threads may send; only one may receive at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = bytearray()
        self._sending = threading.Lock()

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """A channel, and the socket of the other end to pass to another process."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    @classmethod
    def inherited(cls, descriptor: int) -> Self:
        """The end that was inherited from the parent as file `descriptor`."""
        return cls(socket.socket(fileno=descriptor))

    def send(self, message: Message) -> None:
        """Send `message`; blocks while the other end is slow. Raises ChannelClosedError."""
        body = json.dumps(message, separators=(",", ":")).encode()
        with self._sending:
            try:
                self._socket.sendall(_LENGTH.pack(len(body)) + body)
            except OSError as error:
                raise ChannelClosedError(str(error)) from error

    def receive(self, timeout_seconds: float | None = None) -> Message | None:
        """The next message; None when there is none within the timeout.

        Raises ChannelClosedError when the other end is gone and all it sent was received.
        """
        while (message := self._take()) is None:
            ready, _, _ = select.select([self._socket], [], [], timeout_seconds)
            if not ready:
                return None
            try:
                piece = self._socket.recv(_PIECE_BYTES)
            except OSError as error:
                raise ChannelClosedError(str(error)) from error
            if not piece:
                raise ChannelClosedError("the other end closed")
            self._received += piece
        return message

    def close(self) -> None:
        """Close this end; the other end notices."""
        self._socket.close()

    def _take(self) -> Message | None:
        """The next complete message in the buffer, None when there is none."""
        if len(self._received) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._received)
        if length > _MOST_BYTES:
            raise ChannelClosedError(f"a frame of {length} bytes is too long")
        end = _LENGTH.size + length
        if len(self._received) < end:
            return None
        body = bytes(self._received[_LENGTH.size : end])
        del self._received[:end]
        try:
            message = json.loads(body)
        except ValueError as error:
            raise ChannelClosedError("a frame is not JSON") from error
        if not isinstance(message, dict):
            raise ChannelClosedError("a frame is not a JSON object")
        return message
