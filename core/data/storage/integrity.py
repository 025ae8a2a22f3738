"""Verify files that are named by their SHA-256, once per process."""

import errno
import hashlib
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from core.errors import UnavailableError

BLOCK_BYTES = 2**20
UNREADABLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
"""Errors of reading a damaged part of a disk, or of a file system with checksums."""

Stamp = tuple[int, int, int]
Result = TypeVar("Result")


class VerifiedFiles:
    """The files that this process has verified.

    A file that was written or replaced since then must be verified again. No process relies on
    another: bits that flip on a disk change neither the size nor the times of a file.
    """

    def __init__(self) -> None:
        self._stamps: dict[str, Stamp] = {}

    def knows(self, path: Path, digest: str) -> bool:
        """Whether this process verified the file and it is unchanged; reads no content."""
        try:
            return self._stamps.get(digest) == _stamp(path.stat())
        except FileNotFoundError:
            return False

    def add(self, path: Path, digest: str) -> None:
        """Record that the file, which this process wrote, matches its digest."""
        self._stamps[digest] = _stamp(path.stat())

    def verify(self, path: Path, digest: str) -> bool:
        """Read the file. Returns whether its bytes match the digest.

        Raises FileNotFoundError, and UnavailableError when this machine cannot read files.
        """
        return drained(self.examine(path, digest))

    def examine(self, path: Path, digest: str) -> Generator[int, None, bool]:
        """As `verify`, a block at a time: yields the number of bytes just read."""
        try:
            with os.fdopen(_opened(path), "rb", buffering=0) as file:
                before = _stamp(os.fstat(file.fileno()))
                actual = yield from hashing(file.read)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in UNREADABLE:
                self._stamps.pop(digest, None)
                return False
            raise UnavailableError(f"the cache cannot be read: {error.strerror}") from error
        if actual != digest:
            self._stamps.pop(digest, None)
        elif before == _stamp(path.stat()):
            self._stamps[digest] = before
        return actual == digest


def hashing(read: Callable[[int], bytes]) -> Generator[int, None, str]:
    """Read to the end, yielding the bytes of each block; returns the SHA-256 of all."""
    whole = hashlib.sha256()
    while block := read(BLOCK_BYTES):
        whole.update(block)
        yield len(block)
    return whole.hexdigest()


def drained(work: Generator[int, None, Result]) -> Result:
    """Run a generator to its end. Returns its return value."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result


def _stamp(status: os.stat_result) -> Stamp:
    """Size, time and inode, which change when a file is written or replaced."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def _opened(path: Path) -> int:
    """Open a file for reading without a change of its access time, where possible."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        return os.open(path, flags)
