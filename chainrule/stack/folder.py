"""The data folder: made, seen to be writable, and held by one stack at a time."""

import errno
import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

from chainrule.stack.errors import StackError

PROBE_BYTES = 2**20
SCARCE_BYTES = 64 * 2**20
"""Less free space than this and the databases will soon fail to write."""

_LOCK = "up.lock"


class Folder:
    """A locked data folder; `close` gives it up, and so does the end of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = self._hold()
        except OSError as error:
            raise StackError(self._reason(error)) from error
        try:
            self._probe()
        except OSError as error:
            self.close()
            raise StackError(self._reason(error)) from error
        if self.free_bytes() < SCARCE_BYTES:
            self.close()
            raise StackError(
                f"the disk of {self.path} is full ({self.free_bytes() // 2**20} MiB left): free "
                "some space or choose another folder with --data-dir"
            )

    def free_bytes(self) -> int:
        """Room left on the disk of the folder."""
        return shutil.disk_usage(self.path).free

    def close(self) -> None:
        """Let another stack have the folder."""
        self._lock.close()

    def _hold(self) -> IO[str]:
        lock = (self.path / _LOCK).open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            who = f"process {holder}" if holder else "another process"
            raise StackError(
                f"{self.path} is in use by a running Chainrule ({who}): stop that one, or choose "
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
        """Write a little, for real: quotas and read-only disks show only then."""
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
            what = "the disk is full: free some space"
        elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            what = "it cannot be written to"
        elif error.errno in {errno.ENOTDIR, errno.EEXIST}:
            what = "it is not a folder"
        else:
            what = error.strerror or str(error)
        return f"cannot use the data folder {self.path}: {what}, or choose another with --data-dir"
