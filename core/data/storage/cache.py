"""A cache of files by digest, shared by the processes of a machine: each is fetched once.

objects/ab/<digest>        complete and verified
manifests/<digest>.chunks  the objects of a dataset version, which stay while it is pinned
partial/<digest>.<bytes>   a download; continues where a killed process stopped
making/<digest>/           files from which an object is made that no store has
locks/                     a lock while a digest is fetched, and one while it is used
quarantine/                the last file whose bytes did not match its digest
"""

import errno
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from core.data.storage.integrity import BLOCK_BYTES, VerifiedFiles
from core.data.storage.locks import attempted, exclusive, shared
from core.data.storage.source import Source
from core.data.storage.stores import NO_SPACE
from core.data.table.chunks import SUFFIX, Manifest
from core.errors import DamagedError, InvalidError, TooLargeError, UnavailableError

DIGEST = re.compile(r"[0-9a-f]{64}")


class Cache:
    """A folder of at most `limit_bytes` (0: limited by the disk), shared by processes of a machine.

    The least recently used files are evicted first; a file that is held stays. `reserve_bytes` of
    the disk are left free. `readable` are prefixes of external URLs that may be read.

    A process verifies the digest of a file before it first returns it, and again when the file was
    changed since. It relies on no other process: bits that flip on a disk change no time stamp.
    """

    def __init__(
        self,
        root: Path,
        limit_bytes: int = 0,
        reserve_bytes: int = 0,
        readable: Sequence[str] = (),
    ) -> None:
        self.readable = readable
        self._root = root
        self._limit = limit_bytes
        self._reserve = reserve_bytes
        self._verified = VerifiedFiles()

    def fetch(self, store: Source, key: str, digest: str) -> Path:
        """The path of the file with this digest, downloaded from `key` of `store` if missing.

        Its bytes are verified after a download, when this process first uses them, and when they
        were changed since. Raises NotFoundError or UnavailableError as the store does,
        UnavailableError when the disk is full, TooLargeError for a file beyond the limit,
        DamagedError when the bytes in the store do not match `digest`.
        """
        if not self._sound(digest):
            with exclusive(self._lock(digest, "fetch")):
                if not self._kept_if_sound(digest):
                    self._download(store, key, digest)
        return self._place(digest)

    def check(self, digest: str) -> bool:
        """Whether the cache has the file undamaged; counts as a use.

        Reads the file unless this process has verified it. A damaged file is moved to the
        quarantine. Raises UnavailableError when this machine cannot read files.
        """
        sound = self._sound(digest)
        if sound is None or sound:
            return bool(sound)
        with exclusive(self._lock(digest, "fetch")):
            return self._kept_if_sound(digest)

    def examine(self, digest: str) -> Generator[int, None, bool]:
        """Read a file again, even if verified. Returns whether it is undamaged or gone.

        Yields the number of bytes just read. A damaged file is moved to the quarantine. Raises as
        `check`.
        """
        path = self._place(digest)
        try:
            sound = yield from self._verified.examine(path, digest)
        except FileNotFoundError:
            return True
        if sound:
            return True
        with exclusive(self._lock(digest, "fetch")):
            return self._kept_if_sound(digest)

    @contextmanager
    def kept(self, digest: str) -> Iterator[Path | None]:
        """The file if the cache has it undamaged; it is not evicted until the context ends."""
        with shared(self._lock(digest, "use")):
            yield self._place(digest) if self.check(digest) else None

    @contextmanager
    def held(self, store: Source, key: str, digest: str) -> Iterator[Path]:
        """Like `fetch`; the file is not evicted until the context ends."""
        with shared(self._lock(digest, "use")):
            yield self.fetch(store, key, digest)

    @contextmanager
    def pinned(self, digest: str) -> Iterator[None]:
        """A context in which no chunk of this version is evicted."""
        with ExitStack() as stack:
            # No other process may choose files to evict without seeing this pin.
            with exclusive(self._root / "locks" / "room"):
                stack.enter_context(shared(self._lock(digest, "use")))
            yield

    @contextmanager
    def workspace(self, digest: str) -> Iterator[Path]:
        """A folder in which to make the file with this digest; deleted when the context ends.

        Folders that killed processes left are deleted, too.
        """
        folder = self._root / "making"
        (folder / digest).mkdir(parents=True, exist_ok=True)
        with exclusive(self._lock(digest, "make")):
            for place in folder.iterdir():
                with attempted(self._lock(place.name, "make")) as free:
                    if free:
                        shutil.rmtree(place, ignore_errors=True)
            (folder / digest).mkdir(exist_ok=True)
            try:
                yield folder / digest
            finally:
                shutil.rmtree(folder / digest, ignore_errors=True)

    def keep_manifest(self, digest: str, content: bytes) -> Path:
        """Store the manifest of the pinned version `digest`. Returns its path."""
        path = self._manifest(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
            try:
                partial.write_bytes(content)
                partial.replace(path)
            except OSError as error:
                partial.unlink(missing_ok=True)
                raise UnavailableError(f"the cache cannot be written: {error}") from error
        return path

    def manifest(self, digest: str) -> bytes | None:
        """The manifest of a version, or None without a valid one."""
        try:
            content = self._manifest(digest).read_bytes()
            Manifest.loads(content, digest)
        except (FileNotFoundError, InvalidError):
            return None
        return content

    def fetched(self, digest: str) -> Path:
        """The path of a file that was fetched and is held or pinned."""
        return self._place(digest)

    def knows(self, digest: str) -> bool:
        """Whether this process has verified the cached file; counts as a use."""
        path = self._place(digest)
        known = self._verified.knows(path, digest)
        if known:
            _use(path)
        return known

    def has(self, digest: str) -> bool:
        """Whether the cache has the file, damaged or not."""
        return self._place(digest).exists()

    def forget(self, digest: str) -> bool:
        """Delete a file unless it is held. Returns whether it is gone."""
        path = self._place(digest)
        with attempted(self._lock(digest, "use")) as free:
            if free:
                path.unlink(missing_ok=True)
            return free

    def digests(self) -> list[str]:
        """The digests of all cached files, in order."""
        names = (path.name for path in (self._root / "objects").glob("??/*"))
        return sorted(name for name in names if DIGEST.fullmatch(name))

    def alone(self, purpose: str) -> AbstractContextManager[bool]:
        """Yields whether this process is the only one with this purpose until the context ends."""
        return attempted(self._root / "locks" / purpose)

    def versions(self) -> set[str]:
        """The digests of the versions whose manifests are cached."""
        return {
            path.name.removesuffix(SUFFIX) for path in (self._root / "manifests").glob(f"*{SUFFIX}")
        }

    def forget_version(self, digest: str) -> bool:
        """Delete the manifest of a version unless it is pinned. Returns whether it is gone."""
        with attempted(self._lock(digest, "use")) as free:
            if free:
                self._manifest(digest).unlink(missing_ok=True)
            return free

    def bytes(self) -> int:
        """The bytes of cached files and of downloads."""
        return sum(size for _, size, _ in self._objects()) + sum(self._expected().values())

    def probe(self, size: int) -> None:
        """Write `size` bytes and delete them; the least recently used files are evicted if needed.

        Raises UnavailableError when they do not fit or the disk fails.
        """
        partial = self._root / "partial" / f"{uuid.uuid4().hex}.{size}"
        try:
            self._make_room(size, partial)
            with partial.open("ab") as file:
                file.write(bytes(size))
                file.flush()
                os.fsync(file.fileno())
            partial.unlink(missing_ok=True)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise UnavailableError(f"the cache cannot be written: {error}") from error

    def _download(self, store: Source, key: str, digest: str) -> None:
        """Download the file; a download that a process left is continued."""
        size = store.size(key)
        if self._limit and size > self._limit:
            raise TooLargeError(f"{size:,} bytes do not fit into the cache of {self._limit:,}")
        partial = self._root / "partial" / f"{digest}.{size}"
        self._make_room(size, partial)
        actual = self._fill(store, key, partial)
        if actual != digest:
            # An earlier download may be damaged: once more from the start.
            partial.unlink()
            actual = self._fill(store, key, partial)
        if actual != digest:
            self._quarantine(partial)
            raise DamagedError(f"the store holds other bytes under {key!r} than the digest says")
        path = self._place(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
        self._verified.add(path, digest)
        _use(path)

    def _fill(self, store: Source, key: str, partial: Path) -> str:
        """Append the rest of the file to `partial`, evicting files when the disk is full."""
        while True:
            try:
                return _append(store, key, partial)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise UnavailableError(f"the cache cannot be written: {error}") from error
                with exclusive(self._root / "locks" / "room"):
                    evicted = self._evict_one()
                if not evicted:
                    partial.unlink(missing_ok=True)
                    raise UnavailableError("no space left on the disk of the cache") from error

    def _make_room(self, size: int, partial: Path) -> None:
        """Reserve `size` bytes by creating `partial`; the least recently used files are evicted."""
        partial.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(self._root / "locks" / "room"):
            if partial.exists():
                return
            while self._short_of(size):
                if not self._evict_one():
                    raise UnavailableError(
                        f"no room for {size:,} bytes in the cache: all files are in use"
                    )
            partial.touch()

    def _short_of(self, size: int) -> bool:
        """Whether `size` more bytes exceed a limit."""
        if self._limit and self.bytes() + size > self._limit:
            return True
        free = shutil.disk_usage(self._root).free - self._reserve
        arriving = 0
        for path, expected in self._expected().items():
            with suppress(FileNotFoundError):  # it may just have arrived
                arriving += expected - path.stat().st_size
        return size > free - arriving

    def _evict_one(self) -> bool:
        """Delete an abandoned download or the least recently used file. Returns whether one was."""
        for path in self._expected():
            with attempted(self._lock(path.name.partition(".")[0], "fetch")) as free:
                if free:
                    path.unlink(missing_ok=True)
                    return True
        pinned = self._pinned()
        others = (path for _, _, path in sorted(self._objects()) if path.name not in pinned)
        return any(self.forget(path.name) for path in others)

    def _pinned(self) -> set[str]:
        """The chunks of the versions in use. The caller holds the lock on room."""
        chunks: set[str] = set()
        for path in (self._root / "manifests").glob(f"*{SUFFIX}"):
            digest = path.name.removesuffix(SUFFIX)
            with attempted(self._lock(digest, "use")) as free:
                content = None if free else self.manifest(digest)
                if content is not None:
                    chunks.update(chunk.digest for chunk in Manifest.loads(content).all())
        return chunks

    def _objects(self) -> list[tuple[int, int, Path]]:
        """Last use, size and path of every complete file."""
        files = []
        for path in (self._root / "objects").glob("??/*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            files.append((status.st_atime_ns, status.st_size, path))
        return files

    def _expected(self) -> dict[Path, int]:
        """The downloads, with the final size of each."""
        return {
            path: int(path.name.partition(".")[2]) for path in (self._root / "partial").glob("*.*")
        }

    def _sound(self, digest: str) -> bool | None:
        """Whether the bytes of a file match its digest; None when there is no file."""
        path = self._place(digest)
        try:
            sound = self._verified.knows(path, digest) or self._verified.verify(path, digest)
        except FileNotFoundError:
            return None
        if sound:
            _use(path)
        return sound

    def _kept_if_sound(self, digest: str) -> bool:
        """Whether the cache has the file undamaged; a damaged one is moved to the quarantine.

        The caller holds the lock on fetching it, because another process may have replaced it.
        """
        sound = self._sound(digest)
        if sound is False:
            self._quarantine(self._place(digest))
        return bool(sound)

    def _quarantine(self, path: Path) -> None:
        """Move a damaged file to the quarantine, which keeps only the newest one."""
        folder = self._root / "quarantine"
        with suppress(FileNotFoundError):  # another process has done so
            folder.mkdir(parents=True, exist_ok=True)
            path.replace(folder / path.name)
        for other in folder.glob("*"):
            if other.name != path.name:
                other.unlink(missing_ok=True)

    def _place(self, digest: str) -> Path:
        """The path of the file with this digest."""
        if not DIGEST.fullmatch(digest):
            raise InvalidError(f"{digest[:80]!r} is no SHA-256")
        return self._root / "objects" / digest[:2] / digest

    def _manifest(self, digest: str) -> Path:
        """The path of the manifest of a version."""
        self._place(digest)
        return self._root / "manifests" / f"{digest}{SUFFIX}"

    def _lock(self, digest: str, purpose: str) -> Path:
        return self._root / "locks" / f"{digest}.{purpose}"


def _append(store: Source, key: str, partial: Path) -> str:
    """Append the rest of the file to `partial`. Returns the digest. OSError: our own disk."""
    whole = hashlib.sha256()
    with partial.open("ab+") as file:
        file.seek(0)
        while block := file.read(BLOCK_BYTES):
            whole.update(block)
        with store.open(key, start=file.tell()) as source:
            while block := source.read(BLOCK_BYTES):
                file.write(block)
                whole.update(block)
        file.flush()
        os.fsync(file.fileno())
    return whole.hexdigest()


def _use(path: Path) -> None:
    """Update the access time of a file; the time of change stays."""
    try:
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.ENOENT, errno.EACCES, errno.EPERM}:
            raise
