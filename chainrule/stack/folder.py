"""The data folder: private, checked for writing, and locked by one stack at a time."""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from chainrule.stack import StackError

PROBE_BYTES = 2**20
SCARCE_BYTES = 64 * 2**20
"""With less free space, the databases will soon fail to write."""

LOG = "up.log"
"""File in the data folder with the output of a stack in the background."""

_LOCK = "up.lock"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def holder(path: Path) -> int | None:
    """Return the id of the process whose stack uses a data folder, or None if none does."""
    try:
        with (path / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = (path / _LOCK).read_text().strip()
        return int(text) if text.isdigit() else None
    except OSError:
        return None
    return None


class Folder:
    """A locked data folder. `close` unlocks it, and so does the end of this process.

    Only its owner can open it. A data folder that others can open is made private, and `say`
    receives a line about it. A folder with other files keeps its mode. Raises StackError if the
    folder cannot be used or another stack has locked it.
    """

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            names = {file.name for file in self.path.iterdir()}
            own = names <= {LOG} or _LOCK in names
            self._lock = self._acquire()
        except OSError as error:
            raise StackError(self._reason(error)) from error
        try:
            self._probe()
        except OSError as error:
            self.close()
            raise StackError(self._reason(error)) from error
        if self.path.stat().st_mode & _OTHERS:
            say(self._made_private(own=own))
        if self.free_bytes() < SCARCE_BYTES:
            self.close()
            raise StackError(
                f"the disk of {self.path} is full ({self.free_bytes() // 2**20} MiB left): free "
                "some space or choose another folder with --data-dir"
            )

    def free_bytes(self) -> int:
        """Return the free space on the disk of the folder."""
        return shutil.disk_usage(self.path).free

    def close(self) -> None:
        """Unlock the folder."""
        self._lock.close()

    def _made_private(self, *, own: bool) -> str:
        """Refuse the folder to other users, if it is `own`. Returns what to tell its owner."""
        mode = self.path.stat().st_mode & 0o777
        if not own:
            return (
                f"other users can open {self.path} (mode {mode:04o}), which holds other files too: "
                "choose an own folder with --data-dir"
            )
        with suppress(OSError):
            self.path.chmod(0o700)
        if self.path.stat().st_mode & _OTHERS:
            return f"other users can open {self.path}, and its mode {mode:04o} cannot be changed"
        return f"other users could open {self.path} (mode {mode:04o}): its mode is now 0700"

    def _acquire(self) -> IO[str]:
        lock = (self.path / _LOCK).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            process = f"process {holder}" if holder else "another process"
            raise StackError(
                f"{self.path} is in use by a running Chainrule ({process}): stop it, or choose "
                "another folder with --data-dir"
            ) from None
        try:
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
        except OSError:
            with suppress(OSError):
                lock.close()
            raise
        return lock

    def _probe(self) -> None:
        """Write a test file: only writing shows quotas and read-only disks."""
        probe = self.path / "up.probe"
        try:
            with probe.open("wb") as file:
                file.write(b"\0" * PROBE_BYTES)
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)

    def _reason(self, error: OSError) -> str:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            reason = "the disk is full: free some space"
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            reason = "it cannot be written to"
        elif error.errno in {errno.ENOTDIR, errno.EEXIST}:
            reason = "it is not a folder"
        else:
            reason = error.strerror or str(error)
        return (
            f"cannot use the data folder {self.path}: {reason}, or choose another with --data-dir"
        )
