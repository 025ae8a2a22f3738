"""The folder of a store on a disk, which may be moved, replaced or unmounted.

A key is missing only when the folder is still the one that was used before.
"""

from pathlib import Path

from core.errors import UnavailableError

_MISSING = "the folder of the store is not there: is its disk mounted?"
_REPLACED = (
    "another folder is where the store was: is its disk mounted? "
    "If it was replaced on purpose, restart what uses it"
)


class MountedFolder:
    """Identifies a folder by device and inode, and by a file that was read from it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int] | None = None
        self._proof: Path | None = None

    def used(self, path: Path | None = None) -> None:
        """Record that the store was written to, or that the file `path` was read from it."""
        if path is not None:
            self._proof = path
        if self._known is None or path is not None:
            self._known = self._identity() or self._known

    def before_write(self) -> None:
        """Raise UnavailableError when the folder that was used before is missing.

        A write would create a new one, whose files would be lost when the disk returns.
        """
        if self._known is not None:
            self._same()

    def missing(self, path: Path | None) -> None:
        """Raise UnavailableError unless the file `path` is missing from the known folder."""
        if self._known is None:
            return
        self._same()
        if path is not None and path.exists():
            raise UnavailableError(_MISSING)  # it came back between the two looks

    def _same(self) -> None:
        """Raise UnavailableError unless the folder is the one that was used before."""
        identity = self._identity()
        if identity is None:
            raise UnavailableError(_MISSING)
        if identity == self._known:
            return
        if self._proof is None or not self._proof.exists():
            raise UnavailableError(_REPLACED)
        self._known = identity

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino
