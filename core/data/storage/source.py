"""Where a cache gets files from: a store, or something before it."""

from typing import Protocol, Self


class Source(Protocol):
    """Where missing files come from: a store, or something before it."""

    def size(self, key: str) -> int:
        """How many bytes are under `key`."""

    def open(self, key: str, start: int = 0) -> "Blocks":
        """The bytes from byte `start` on."""


class Blocks(Protocol):
    """Bytes that are read in order, a block at a time."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; empty at the end."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
