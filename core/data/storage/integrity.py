"""Files that are named by their SHA-256, and which of them this process has verified."""

import errno
import hashlib
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from core.errors import UnavailableError

BLOCK_BYTES = 2**20
UNREADABLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
"""How reading a damaged part of a disk, or of a file system with checksums, fails."""

Stamp = tuple[int, int, int]
Result = TypeVar("Result")


class VerifiedFiles:
    """The files that this process has read and found to match their digests.

    A file that was written to or replaced since then is unverified again. No process relies on
    what another one verified: bits that flip on a disk change neither size nor times of a file.
    """

    def __init__(self) -> None:
        self._stamps: dict[str, Stamp] = {}

    def knows(self, path: Path, digest: str) -> bool:
        """Whether the file was verified by this process and is unchanged; reads no content."""
        try:
            return self._stamps.get(digest) == _stamp(path.stat())
        except FileNotFoundError:
            return False

    def add(self, path: Path, digest: str) -> None:
        """Note that the file, which this process wrote, matches its digest."""
        self._stamps[digest] = _stamp(path.stat())

    def verify(self, path: Path, digest: str) -> bool:
        """Read the file; whether its bytes match the digest.

        Raises FileNotFoundError, and UnavailableError when this machine cannot read files now.
        """
        return drained(self.examine(path, digest))

    def examine(self, path: Path, digest: str) -> Generator[int, None, bool]:
        """As `verify`, a block at a time: yields how many bytes it has just read."""
        try:
            with os.fdopen(_opened(path), "rb", buffering=0) as file:
                before = _stamp(os.fstat(file.fileno()))
                found = yield from hashing(file.read)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in UNREADABLE:
                self._stamps.pop(digest, None)
                return False
            raise UnavailableError(f"the cache cannot be read: {error.strerror}") from error
        if found != digest:
            self._stamps.pop(digest, None)
        elif before == _stamp(path.stat()):
            self._stamps[digest] = before
        return found == digest


def hashing(read: Callable[[int], bytes]) -> Generator[int, None, str]:
    """Read to the end, yielding the bytes of each block; returns the SHA-256 of all."""
    whole = hashlib.sha256()
    while block := read(BLOCK_BYTES):
        whole.update(block)
        yield len(block)
    return whole.hexdigest()


def drained(work: Generator[int, None, Result]) -> Result:
    """Run a generator to its end; what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


def _stamp(status: os.stat_result) -> Stamp:
    """What changes when somebody writes to a file or replaces it."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def _opened(path: Path) -> int:
    """A file to be read; its time of last use stays where the system allows that."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        return os.open(path, flags)
