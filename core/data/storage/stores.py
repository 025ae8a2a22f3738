"""Object stores: a folder, an S3 bucket or any other store that fsspec supports."""

import errno
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import fsspec
from fsspec.implementations.local import LocalFileSystem

from core.data.storage.mount import MountedFolder
from core.errors import InvalidError, NotFoundError, UnavailableError
from core.shortage import Shortage, shortage

KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*")
PARTIAL = re.compile(r"\..+\.[0-9a-f]{32}")
"""The name of a file that is being written; no part of a key begins with a dot."""
MAX_KEY = 900
BLOCK_BYTES = 2**20
PAGE_FILES = 1000
"""Files of a page of a list of S3, which has no larger pages."""
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_CREATE_TRIES = 5
_NO_BUCKET = ("NoSuchBucket", "bucket does not exist")
# A store that does not answer must soon be an error, so that no worker hangs.
S3_DEFAULTS: dict[str, Any] = {
    "use_listings_cache": False,
    "config_kwargs": {
        "connect_timeout": 5,
        "read_timeout": 30,
        "retries": {"max_attempts": 3, "mode": "standard"},
    },
}


@dataclass(frozen=True)
class StoredFile:
    """A file in a store: its key and its size in bytes."""

    key: str
    bytes: int


def open_store(url: str, options: Mapping[str, Any] | None = None) -> "Store":
    """The store at `url`: `file:///folder`, `s3://bucket/prefix`, `memory://name` ...

    Credentials come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` ...), never from
    the URL; `options` go to fsspec. Sends no request yet. Raises InvalidError for a URL that no
    installed package supports.
    """
    filesystem, root = _filesystem(url, options)
    return Store(filesystem, root.rstrip("/"), url)


def open_object(url: str) -> "Object":
    """The one file at `url`, with credentials as `open_store` has them.

    Sends no request yet. Raises InvalidError for a URL that no installed package supports.
    """
    filesystem, path = _filesystem(url)
    return Object(filesystem, path, url)


def _filesystem(url: str, options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it."""
    protocol, separator, _ = url.partition("://")
    if not separator or "::" in url:
        raise InvalidError(f"the store URL {url!r} must be like file:///folder or s3://bucket/path")
    given = dict(S3_DEFAULTS if protocol in {"s3", "s3a"} else {}) | dict(options or {})
    try:
        filesystem, path = fsspec.core.url_to_fs(url, **given)
    except (ValueError, ImportError) as error:
        raise InvalidError(f"the store URL {url!r} cannot be used: {error}") from error
    return filesystem, str(path)


class Store:
    """Files by key, a path of plain words. Writes are atomic.

    Two kinds of error are distinguished. NotFoundError is permanent: the store answered that it has
    nothing under the key. UnavailableError is transient: the store does not answer, refuses, is
    full, or is missing itself (no bucket; a folder that was moved, unmounted or replaced since this
    process used it). InvalidError: the key is not a plain path.
    """

    def __init__(self, filesystem: Any, root: str, url: str) -> None:
        self._files = filesystem
        self._root = root
        self.url = url
        local = isinstance(filesystem, LocalFileSystem)
        self._folder = MountedFolder(Path(root)) if local else None

    def confirm(self) -> None:
        """Raise UnavailableError unless the store exists and is not empty.

        Call it when a file is missing that must have been stored: an empty folder may be a disk
        that is not mounted, an empty bucket the wrong one.
        """
        try:
            with _asked("the store itself"):
                entries = self._files.ls(self._root, detail=False)
        except NotFoundError as error:
            raise UnavailableError("the store is not there") from error
        if not entries:
            raise UnavailableError(
                "the store is empty: is its disk mounted, its URL the right one?"
            )

    def probe(self) -> None:
        """Write, read and delete a few bytes. Raises UnavailableError when that fails."""
        key, content = f"probes/{uuid.uuid4().hex}", b"chainrule"
        try:
            self.put_bytes(content, key)
            if self.get_bytes(key) != content:
                raise UnavailableError("the store gives other bytes than it was given")
            self.delete(key)
        except NotFoundError as error:
            raise UnavailableError("the store lost what it was given") from error

    def put_file(self, source: Path, key: str) -> None:
        """Store the bytes of the file `source` under `key`, replacing a previous file."""
        path = self._path(key)
        with _asked(key), self._writing():
            if self._folder is not None:
                _put_local(source, Path(path))
            else:
                self._files.put_file(str(source), path)

    def put_bytes(self, content: bytes, key: str) -> None:
        """Store `content` under `key`, replacing a previous file."""
        path = self._path(key)
        with _asked(key), self._writing():
            if self._folder is not None:
                with _whole(Path(path)) as file:
                    file.write(content)
            else:
                self._files.pipe_file(path, content)

    def get_file(self, key: str, target: Path) -> None:
        """Copy the bytes under `key` to the file `target`."""
        with self.open(key) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, BLOCK_BYTES)

    def get_bytes(self, key: str) -> bytes:
        """The bytes under `key`."""
        with self.open(key) as source:
            return source.read()

    def get_range(self, key: str, start: int, size: int) -> bytes:
        """`size` bytes of the file under `key` from byte `start` on; no others are fetched."""
        path = self._path(key)
        with _asked(key, self._folder, path):
            return bytes(self._files.cat_file(path, start=start, end=start + size))

    def open(self, key: str, start: int = 0) -> "Reading":
        """A stream of the bytes under `key` from byte `start` on, which the caller closes."""
        return Object(self._files, self._path(key), key, self._folder).open(start)

    def exists(self, key: str) -> bool:
        """Whether there is a file under `key`."""
        try:
            self.size(key)
        except NotFoundError:
            return False
        return True

    def size(self, key: str) -> int:
        """The size in bytes of the file under `key`."""
        path = self._path(key)
        with _asked(key, self._folder, path):
            return int(self._files.info(path)["size"])

    def delete(self, key: str) -> None:
        """Delete the file under `key`, if there is one."""
        path = self._path(key)
        try:
            with _asked(key, self._folder):
                self._files.rm_file(path)
        except NotFoundError:
            return
        if self._folder is not None:
            _remove_empty(Path(path).parent, Path(self._root))

    def keys(self, prefix: str = "") -> list[str]:
        """All keys under the folder `prefix`, in order, without unfinished writes."""
        return sorted(file.key for file in self.files(prefix))

    def files(self, folder: str = "") -> Iterator[StoredFile]:
        """The files under the folder `folder`, in any order, without unfinished writes.

        They are listed while the caller iterates, so that many files need little memory.
        """
        path = self._path(folder) if folder else self._root
        start = len(self._root) + 1
        for name, size in self._listed(folder, path):
            if KEY.fullmatch(key := name[start:]):
                yield StoredFile(key, size)

    def unfinished(self, seconds: float) -> Iterator[StoredFile]:
        """Files of writes that were begun and have not gone on for `seconds`; on a disk only.

        Writers that were killed leave them. The time is that of this machine's clock.
        """
        before = time.time() - seconds
        for name, size in self._listed("", self._root) if self._folder is not None else ():
            path = Path(name)
            with suppress(FileNotFoundError):  # finished meanwhile
                if PARTIAL.fullmatch(path.name) and path.stat().st_mtime < before:
                    yield StoredFile(name[len(self._root) + 1 :], size)

    def discard(self, file: StoredFile) -> None:
        """Delete a file that `unfinished` gave."""
        path = Path(self._root, file.key)
        with _asked(file.key):
            path.unlink(missing_ok=True)
        _remove_empty(path.parent, Path(self._root))

    def _listed(self, folder: str, path: str) -> Iterator[tuple[str, int]]:
        """Path and size of the files under `path`."""
        if self._folder is not None:
            yield from _listed_local(folder, path)
        elif "s3" in self._files.protocol:
            yield from _listed_on_s3(self._files, folder, path)
        else:
            with _asked(folder):
                entries = self._files.find(path, detail=True)
            yield from ((str(name), int(entry["size"])) for name, entry in entries.items())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A context for writing to the folder that was used before, or to a new one."""
        if self._folder is None:
            yield
            return
        self._folder.before_write()
        yield
        self._folder.used()

    def _path(self, key: str) -> str:
        """The fsspec path of a key, which must stay within the store."""
        if len(key) > MAX_KEY or not KEY.fullmatch(key):
            raise InvalidError(f"{key[:80]!r} is not a key of a store")
        return f"{self._root}/{key}"


class Object:
    """A single file to read. Methods raise as those of Store do, with its `name` in messages."""

    def __init__(
        self, filesystem: Any, path: str, name: str, folder: MountedFolder | None = None
    ) -> None:
        """`folder` is the folder of the store of the file, if it is on a disk."""
        self._files = filesystem
        self._path = path
        self._name = name
        self._folder = folder

    def state(self) -> tuple[int, str]:
        """The size in bytes, and a text that changes when the file does.

        Raises NotFoundError also for a folder, a device or a pipe.
        """
        with _asked(self._name):
            about = self._files.info(self._path)
        if about["type"] != "file":
            raise NotFoundError(f"{self._name!r} is no file")
        return int(about["size"]), hashlib.sha256(repr(about).encode()).hexdigest()

    def open(self, start: int = 0) -> "Reading":
        """A stream of the bytes from byte `start` on, which the caller closes."""
        with _asked(self._name, self._folder, self._path):
            file = self._files.open(self._path, "rb", block_size=8 * BLOCK_BYTES)
            file.seek(start)
        return Reading(file, self._name)


class Reading:
    """A stream of bytes of a store; errors are converted as those of Store."""

    def __init__(self, file: Any, key: str) -> None:
        self._file = file
        self._key = key

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes at most, or all that are left; empty at the end."""
        with _asked(self._key):
            return bytes(self._file.read(size))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@contextmanager
def _asked(
    key: str, folder: MountedFolder | None = None, path: str | None = None
) -> Iterator[None]:
    """Convert errors of a store. `path` is read from a store in `folder` on a disk."""
    try:
        yield
    except UnavailableError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        if any(words in str(error) or words in str(error.__cause__) for words in _NO_BUCKET):
            raise UnavailableError("the bucket of the store does not exist") from error
        if folder is not None:
            folder.missing(None if path is None else Path(path))
        raise NotFoundError(f"the store has nothing under {key!r}") from error
    except OSError as error:
        if shortage(error) is Shortage.DISK_FULL:
            raise UnavailableError("no space left on the disk of the store") from error
        raise UnavailableError(f"the store refuses: {error.strerror or error}") from error
    except Exception as error:
        # Drivers have their own classes for an unreachable server. Their messages may hold
        # addresses and keys, the class tells enough.
        raise UnavailableError(f"the store does not answer: {type(error).__name__}") from error
    if folder is not None and path is not None:
        folder.used(Path(path))


def _created(path: Path) -> BinaryIO:
    """A new file, and the folders above it, which another process may remove while empty."""
    for _ in range(_CREATE_TRIES - 1):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return path.open("xb")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those above it up to a folder directly below `root`, while empty."""
    while folder.parent != root and root in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _listed_local(name: str, folder: str) -> Iterator[tuple[str, int]]:
    """Path and size of the files under a folder on a disk; of none if it does not exist."""
    with _asked(name), suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _listed_local(name, entry.path)
            else:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    yield entry.path, entry.stat().st_size


def _listed_on_s3(files: Any, name: str, folder: str) -> Iterator[tuple[str, int]]:
    """Path and size of the objects under a folder, a page at a time; s3fs returns all at once."""
    bucket, _, prefix = folder.partition("/")
    query = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else "", "MaxKeys": PAGE_FILES}
    while True:
        with _asked(name):
            page = files.call_s3("list_objects_v2", **query)
        for entry in page.get("Contents", ()):
            yield f"{bucket}/{entry['Key']}", int(entry["Size"])
        if not page["IsTruncated"]:
            return
        query["ContinuationToken"] = page["NextContinuationToken"]


def _put_local(source: Path, target: Path) -> None:
    """Copy a file atomically and durably."""
    with source.open("rb") as file, _whole(target) as copy:
        shutil.copyfileobj(file, copy, BLOCK_BYTES)


@contextmanager
def _whole(target: Path) -> Iterator[BinaryIO]:
    """A new file that replaces `target` when it is complete."""
    # Keys never begin with a dot, so this name is not a key.
    partial = target.with_name(f".{target.name[:200]}.{uuid.uuid4().hex}")
    try:
        with _created(partial) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
