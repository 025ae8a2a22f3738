"""The interface of what a cache reads from: a store, a peer, or an origin."""

from typing import Protocol, Self


class Source(Protocol):
    """A source of files by key."""

    def size(self, key: str) -> int:
        """The size in bytes of the file under `key`."""

    def open(self, key: str, start: int = 0) -> "Blocks":
        """A stream of the bytes from byte `start` on."""


class Blocks(Protocol):
    """A stream of bytes that is read in blocks."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; empty at the end."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
