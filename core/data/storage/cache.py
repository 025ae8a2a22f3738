"""Files of the store on this machine, by digest: fetched once by however many processes need them.

objects/ab/<digest>        whole and checked
manifests/<digest>.chunks  which objects make up a dataset version; they stay while it is pinned
partial/<digest>.<bytes>   on its way; goes on where a killed process stopped
making/<digest>/           what a file is made from that no store has as it is
locks/                     one lock while a digest is fetched, one while it is used
quarantine/                what turned out to be other bytes than its name says
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
    """A folder of at most `limit_bytes` (0: as the disk allows), shared by processes of a machine.

    The files longest unused make room first; a file that is held stays. `reserve_bytes` of the
    disk are left free. `readable` are prefixes of the URLs of others that files may come from.

    A process reads a file whole and compares digests before it hands it out for the first time, and
    again when the file was changed since: bits that flip on the disk change no time.
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
        """The file with the SHA-256 `digest`, from this machine or else from `key` of `store`.

        Its bytes are verified when they arrive, when this process first asks for them, and when
        they were changed since. Raises NotFoundError or UnavailableError as the store does,
        UnavailableError when there is no room on the disk, TooLargeError for a file beyond the
        limit, DamagedError when the store holds other bytes than `digest` says.
        """
        if not self._sound(digest):
            with exclusive(self._lock(digest, "fetch")):
                if not self._kept_if_sound(digest):
                    self._download(store, key, digest)
        return self._place(digest)

    def check(self, digest: str) -> bool:
        """Whether the file is here and sound, and so used now.

        Reads it unless this process has done so; a damaged file is moved to the quarantine.
        Raises UnavailableError when this machine cannot read files now.
        """
        sound = self._sound(digest)
        if sound is None or sound:
            return bool(sound)
        with exclusive(self._lock(digest, "fetch")):
            return self._kept_if_sound(digest)

    def examine(self, digest: str) -> Generator[int, None, bool]:
        """Read a file again, verified or not; whether it is sound or not here any more.

        Yields how many bytes it has just read. A damaged file is moved to the quarantine. Raises as
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
        """The file if it is here and sound; it cannot be pushed out until the context ends."""
        with shared(self._lock(digest, "use")):
            yield self._place(digest) if self.check(digest) else None

    @contextmanager
    def held(self, store: Source, key: str, digest: str) -> Iterator[Path]:
        """Like `fetch`; the file cannot be pushed out by others until the context ends."""
        with shared(self._lock(digest, "use")):
            yield self.fetch(store, key, digest)

    @contextmanager
    def pinned(self, digest: str) -> Iterator[None]:
        """While it lasts, nothing that the manifest of this version lists is pushed out."""
        with ExitStack() as stack:
            # Nobody is just choosing what to push out, not knowing of this pin.
            with exclusive(self._root / "locks" / "room"):
                stack.enter_context(shared(self._lock(digest, "use")))
            yield

    @contextmanager
    def workspace(self, digest: str) -> Iterator[Path]:
        """A folder to make the file with this digest in; gone when the context ends.

        What killed processes left in theirs goes as well.
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
        """Note which files the pinned version `digest` is made of; where that is written."""
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
        """The manifest of a version if this machine has it whole."""
        try:
            content = self._manifest(digest).read_bytes()
            Manifest.loads(content, digest)
        except (FileNotFoundError, InvalidError):
            return None
        return content

    def fetched(self, digest: str) -> Path:
        """Where a file lies that was fetched and is held or pinned."""
        return self._place(digest)

    def knows(self, digest: str) -> bool:
        """Whether the file is here, this process has verified it, and so used now."""
        path = self._place(digest)
        known = self._verified.knows(path, digest)
        if known:
            _use(path)
        return known

    def has(self, digest: str) -> bool:
        """Whether the file is here, sound or not."""
        return self._place(digest).exists()

    def forget(self, digest: str) -> bool:
        """Delete a file unless it is held; whether it is gone."""
        path = self._place(digest)
        with attempted(self._lock(digest, "use")) as free:
            if free:
                path.unlink(missing_ok=True)
            return free

    def digests(self) -> list[str]:
        """The files that are here, in order."""
        names = (path.name for path in (self._root / "objects").glob("??/*"))
        return sorted(name for name in names if DIGEST.fullmatch(name))

    def alone(self, purpose: str) -> AbstractContextManager[bool]:
        """Whether no other process does this to the cache; none begins until the context ends."""
        return attempted(self._root / "locks" / purpose)

    def versions(self) -> set[str]:
        """The digests of the versions whose manifests are here."""
        return {
            path.name.removesuffix(SUFFIX) for path in (self._root / "manifests").glob(f"*{SUFFIX}")
        }

    def forget_version(self, digest: str) -> bool:
        """Delete the manifest of a version unless it is pinned; whether it is gone."""
        with attempted(self._lock(digest, "use")) as free:
            if free:
                self._manifest(digest).unlink(missing_ok=True)
            return free

    def bytes(self) -> int:
        """How many bytes lie in the cache, and are on their way to it."""
        return sum(size for _, size, _ in self._objects()) + sum(self._expected().values())

    def probe(self, size: int) -> None:
        """Write `size` bytes and delete them; what is unused longest makes room if it has to.

        Raises UnavailableError when they do not fit or the disk refuses.
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
        """Bring the file to its place, in one go or over several lives of this process."""
        size = store.size(key)
        if self._limit and size > self._limit:
            raise TooLargeError(f"{size:,} bytes do not fit into the cache of {self._limit:,}")
        partial = self._root / "partial" / f"{digest}.{size}"
        self._make_room(size, partial)
        found = self._fill(store, key, partial)
        if found != digest:
            # What an earlier process left, or was sent, may be broken: once more from the start.
            partial.unlink()
            found = self._fill(store, key, partial)
        if found != digest:
            self._quarantine(partial)
            raise DamagedError(f"the store holds other bytes under {key!r} than the digest says")
        path = self._place(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
        self._verified.add(path, digest)
        _use(path)

    def _fill(self, store: Source, key: str, partial: Path) -> str:
        """Append to `partial` what it lacks; the digest of the whole."""
        while True:
            try:
                return _append(store, key, partial)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise UnavailableError(f"the cache cannot be written: {error}") from error
                with exclusive(self._root / "locks" / "room"):
                    pushed = self._push_out_one()
                if not pushed:
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
        arriving = 0
        for path, expected in self._expected().items():
            with suppress(FileNotFoundError):  # it may just have arrived
                arriving += expected - path.stat().st_size
        return size > free - arriving

    def _push_out_one(self) -> bool:
        """Delete an abandoned download, or else the file unused longest; False if none is free."""
        for path in self._expected():
            with attempted(self._lock(path.name.partition(".")[0], "fetch")) as free:
                if free:
                    path.unlink(missing_ok=True)
                    return True
        pinned = self._pinned()
        others = (path for _, _, path in sorted(self._objects()) if path.name not in pinned)
        return any(self.forget(path.name) for path in others)

    def _pinned(self) -> set[str]:
        """What the versions in use are made of.

        The caller holds the lock on room.
        """
        found: set[str] = set()
        for path in (self._root / "manifests").glob(f"*{SUFFIX}"):
            digest = path.name.removesuffix(SUFFIX)
            with attempted(self._lock(digest, "use")) as free:
                content = None if free else self.manifest(digest)
                if content is not None:
                    found.update(one.digest for one in Manifest.loads(content).all())
        return found

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

    def _sound(self, digest: str) -> bool | None:
        """Whether a file's bytes are those of its digest; None when there is no file."""
        path = self._place(digest)
        try:
            sound = self._verified.knows(path, digest) or self._verified.verify(path, digest)
        except FileNotFoundError:
            return None
        if sound:
            _use(path)
        return sound

    def _kept_if_sound(self, digest: str) -> bool:
        """Whether a file is here and sound; a damaged one is moved to the quarantine.

        The caller holds the lock on fetching it: another process may have replaced it.
        """
        sound = self._sound(digest)
        if sound is False:
            self._quarantine(self._place(digest))
        return bool(sound)

    def _quarantine(self, path: Path) -> None:
        """Move a file with wrong bytes out of the way; only the newest one is kept."""
        folder = self._root / "quarantine"
        with suppress(FileNotFoundError):  # another process has done so
            folder.mkdir(parents=True, exist_ok=True)
            path.replace(folder / path.name)
        for other in folder.glob("*"):
            if other.name != path.name:
                other.unlink(missing_ok=True)

    def _place(self, digest: str) -> Path:
        """Where the file with this digest lies."""
        if not DIGEST.fullmatch(digest):
            raise InvalidError(f"{digest[:80]!r} is no SHA-256")
        return self._root / "objects" / digest[:2] / digest

    def _manifest(self, digest: str) -> Path:
        """Where the manifest of a version lies."""
        self._place(digest)
        return self._root / "manifests" / f"{digest}{SUFFIX}"

    def _lock(self, digest: str, purpose: str) -> Path:
        return self._root / "locks" / f"{digest}.{purpose}"


def _append(store: Source, key: str, partial: Path) -> str:
    """Read on from where `partial` ends; the digest of all. OSError only for our own disk."""
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
    """Note that the file was needed now; its time of change stays."""
    try:
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.ENOENT, errno.EACCES, errno.EPERM}:
            raise
