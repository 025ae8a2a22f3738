"""File locks between processes of a machine; the kernel releases them when a process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Acquire the lock file `path` exclusively; waits until it is free."""
    with _locked(path, fcntl.LOCK_EX):
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Acquire the lock file `path` together with other `shared` holders."""
    with _locked(path, fcntl.LOCK_SH):
        yield


@contextmanager
def attempted(path: Path) -> Iterator[bool]:
    """Acquire the lock file `path` exclusively if it is free; yields whether it was."""
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
    """Open and lock a file; closing it releases the lock."""
    handle = _open(path)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    """Open the lock file, created if missing; child processes do not inherit it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
