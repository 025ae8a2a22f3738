"""Files of the store on this machine, by digest: fetched once by however many processes need them.

objects/ab/<digest>        whole and checked
partial/<digest>.<bytes>   on its way; goes on where a killed process stopped
locks/                     one lock while a digest is fetched, one while it is used
quarantine/                what turned out to be other bytes than its name says
"""

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from core.data.locks import attempted, exclusive, shared
from core.data.stores import NO_SPACE, Store
from core.errors import InvalidError, TooLargeError, UnavailableError

DIGEST = re.compile(r"[0-9a-f]{64}")
BLOCK_BYTES = 2**20
Stamp = tuple[int, int, int]


class Cache:
    """A folder of at most `limit_bytes` (0: as the disk allows), shared by processes of a machine.

    The files longest unused make room first; a file that is held stays. `reserve_bytes` of the
    disk are left free.
    """

    def __init__(self, root: Path, limit_bytes: int = 0, reserve_bytes: int = 0) -> None:
        self._root = root
        self._limit = limit_bytes
        self._reserve = reserve_bytes
        self._sound: dict[str, Stamp] = {}

    def fetch(self, store: Store, key: str, digest: str) -> Path:
        """The file with the SHA-256 `digest`, from this machine or else from `key` of `store`.

        Its bytes are verified when this process first sees it, and again when it was touched.
        Raises NotFoundError or UnavailableError as the store does, UnavailableError when there is
        no room on the disk, TooLargeError for a file beyond the limit, InvalidError when the store
        holds other bytes than `digest` says.
        """
        path = self._place(digest)
        if self._known(path, digest):
            _use(path)
            return path
        with exclusive(self._lock(digest, "fetch")):
            if path.exists():
                if self._verified(path, digest):
                    _use(path)
                    return path
                self._quarantine(path)
            self._download(store, key, digest)
        return path

    @contextmanager
    def held(self, store: Store, key: str, digest: str) -> Iterator[Path]:
        """Like `fetch`; the file cannot be pushed out by others until the context ends."""
        with shared(self._lock(digest, "use")):
            yield self.fetch(store, key, digest)

    def forget(self, digest: str) -> bool:
        """Delete a file unless it is held; whether it is gone."""
        path = self._place(digest)
        with attempted(self._lock(digest, "use")) as free:
            if free:
                path.unlink(missing_ok=True)
            return free

    def bytes(self) -> int:
        """How many bytes lie in the cache, and are on their way to it."""
        return sum(size for _, size, _ in self._objects()) + sum(self._expected().values())

    def _download(self, store: Store, key: str, digest: str) -> None:
        """Bring the file to its place, in one go or over several lives of this process."""
        size = store.size(key)
        if self._limit and size > self._limit:
            raise TooLargeError(f"{size:,} bytes do not fit into the cache of {self._limit:,}")
        partial = self._root / "partial" / f"{digest}.{size}"
        self._make_room(size, partial)
        started = partial.exists()
        found = self._fill(store, key, partial)
        if found != digest and started:
            # What an earlier process left may be broken: once more from the start.
            partial.unlink()
            found = self._fill(store, key, partial)
        if found != digest:
            self._quarantine(partial)
            raise InvalidError(f"the store holds other bytes under {key!r} than the digest says")
        path = self._place(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
        self._sound[digest] = _stamp(path)

    def _fill(self, store: Store, key: str, partial: Path) -> str:
        """Append to `partial` what it lacks; the digest of the whole."""
        while True:
            try:
                return _append(store, key, partial)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise UnavailableError(f"the cache cannot be written: {error}") from error
                if not self._push_out_one():
                    partial.unlink(missing_ok=True)
                    raise UnavailableError("no space left on the disk of the cache") from error

    def _make_room(self, size: int, partial: Path) -> None:
        """Claim room for `size` bytes by making `partial`; what is unused longest is pushed out."""
        partial.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(self._root / "locks" / "room"):
            if partial.exists():
                return
            while self._short_of(size):
                if not self._push_out_one():
                    raise UnavailableError(
                        f"no room for {size:,} bytes in the cache: all it holds is in use"
                    )
            partial.touch()

    def _short_of(self, size: int) -> bool:
        """Whether `size` more bytes would be too many."""
        if self._limit and self.bytes() + size > self._limit:
            return True
        free = shutil.disk_usage(self._root).free - self._reserve
        arriving = sum(
            expected - path.stat().st_size for path, expected in self._expected().items()
        )
        return size > free - arriving

    def _push_out_one(self) -> bool:
        """Delete an abandoned download, or else the file unused longest; False if none is free."""
        for path in self._expected():
            with attempted(self._lock(path.name.partition(".")[0], "fetch")) as free:
                if free:
                    path.unlink(missing_ok=True)
                    return True
        return any(self.forget(path.name) for _, _, path in sorted(self._objects()))

    def _objects(self) -> list[tuple[int, int, Path]]:
        """Last use, size and path of every whole file."""
        found = []
        for path in (self._root / "objects").glob("??/*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_atime_ns, status.st_size, path))
        return found

    def _expected(self) -> dict[Path, int]:
        """The files on their way, and how large they will be."""
        return {
            path: int(path.name.partition(".")[2]) for path in (self._root / "partial").glob("*.*")
        }

    def _known(self, path: Path, digest: str) -> bool:
        """Whether this process verified the file and nobody touched it since."""
        try:
            return digest in self._sound and self._sound[digest] == _stamp(path)
        except FileNotFoundError:
            return False

    def _verified(self, path: Path, digest: str) -> bool:
        """Whether the file's bytes are those of its digest."""
        stamp = _stamp(path)
        with path.open("rb") as file:
            sound = hashlib.file_digest(file, "sha256").hexdigest() == digest
        if sound:
            self._sound[digest] = stamp
        return sound

    def _quarantine(self, path: Path) -> None:
        """Move a file with wrong bytes out of the way; only the newest one is kept."""
        folder = self._root / "quarantine"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        path.replace(folder / path.name)

    def _place(self, digest: str) -> Path:
        """Where the file with this digest lies."""
        if not DIGEST.fullmatch(digest):
            raise InvalidError(f"{digest[:80]!r} is no SHA-256")
        return self._root / "objects" / digest[:2] / digest

    def _lock(self, digest: str, purpose: str) -> Path:
        return self._root / "locks" / f"{digest}.{purpose}"


def _append(store: Store, key: str, partial: Path) -> str:
    """Read on from where `partial` ends; the digest of all. OSError only for our own disk."""
    whole = hashlib.sha256()
    with partial.open("ab+") as file:
        file.seek(0)
        _digest_rest(file, whole)
        with store.open(key, start=file.tell()) as source:
            while block := source.read(BLOCK_BYTES):
                file.write(block)
                whole.update(block)
        file.flush()
        os.fsync(file.fileno())
    return whole.hexdigest()


def _digest_rest(file: IO[bytes], whole: Any) -> None:
    """Feed what is left of `file` into the digest."""
    while block := file.read(BLOCK_BYTES):
        whole.update(block)


def _stamp(path: Path) -> Stamp:
    """What changes when somebody writes to the file or replaces it."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _use(path: Path) -> None:
    """Note that the file was needed now; its time of change stays."""
    try:
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.ENOENT, errno.EACCES, errno.EPERM}:
            raise
