"""The folder of a slot for the files of its attempts; those of ended processes are deleted."""

import fcntl
import os
import shutil
import uuid
from pathlib import Path

_LOCK = "lock"


class Workspace:
    """A folder under `root` that this process has locked for as long as it lives.

    In it, `attempts` is the folder that the slot's runner may write to.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        sweep(root)
        self._folder = root / uuid.uuid4().hex
        self.attempts = self._folder / "attempts"
        self.attempts.mkdir(parents=True)
        self._real = self.attempts.resolve()
        self._lock = _open_lock(self._folder)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def folder(self, name: str) -> Path:
        """Create an empty folder called `name`."""
        path = self.attempts / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def clear(self, path: Path) -> None:
        """Delete a folder that `folder` created."""
        shutil.rmtree(path, ignore_errors=True)

    def owns(self, path: Path) -> bool:
        """Whether a runner may have written this file: it is in `attempts`, and no link."""
        return path.is_relative_to(self.attempts) and path.resolve() == self._real / (
            path.relative_to(self.attempts)
        )

    def close(self) -> None:
        """Delete all folders of this process."""
        os.close(self._lock)
        shutil.rmtree(self._folder, ignore_errors=True)


def sweep(root: Path) -> None:
    """Delete the folders under `root` whose processes have ended."""
    for folder in root.iterdir():
        # Without a lock file its process is still creating it, or ended while it did.
        if not (folder / _LOCK).exists():
            continue
        lock = _open_lock(folder)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _open_lock(folder: Path) -> int:
    return os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
