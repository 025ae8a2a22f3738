"""Locks between processes of one machine; the kernel opens them when their holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone; waits as long as anyone else holds it."""
    with _locked(path, fcntl.LOCK_EX):
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold the lock file `path` together with others; keeps `exclusive` holders out."""
    with _locked(path, fcntl.LOCK_SH):
        yield


@contextmanager
def attempted(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` alone if nobody holds it now; yields whether it is held."""
    handle = _open(path)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        yield held
    finally:
        os.close(handle)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Open, lock, and unlock by closing."""
    handle = _open(path)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    """The lock file, made when it is missing; a child process does not inherit it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
