"""External files that datasets are made from, and the URLs that this machine may read.

Without such a list a user of the api could read any file of the server and any address it reaches.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.data.storage.stores import BLOCK_BYTES, NO_SPACE, Object, open_object
from core.errors import (
    ConflictError,
    FieldError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)

URL = re.compile(r"(file|s3|gs|az)://[^\x00-\x1f\x7f@?#*\[\]\\~]+")
SETTING = "its CHAINRULE_DATASET_URLS"
MAX_URL = 1024
MOST_FAILURES = 3


@dataclass(frozen=True)
class Origin:
    """A file that this server may read: `size` bytes long, `state` changes when it does."""

    url: str
    size: int
    state: str
    file: Object

    def pour(self, target: IO[bytes], most: int) -> None:
        """Append at most `most` further bytes of the file to `target`.

        A failed connection is resumed. Raises UnavailableError when it fails twice without a byte
        or the disk is full, ConflictError when the file has changed.
        """
        end, failures = min(self.size, target.tell() + most), 0
        while (start := target.tell()) < end:
            try:
                self._check()
                self._append(target, end)
            except UnavailableError:
                failures = 1 if target.tell() > start else failures + 1
                if failures > MOST_FAILURES:
                    raise
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                raise UnavailableError("the disk of this server is full") from error
        self._check()

    def _append(self, target: IO[bytes], end: int) -> None:
        with self.file.open(target.tell()) as source:
            while (missing := end - target.tell()) > 0:
                block = source.read(min(BLOCK_BYTES, missing))
                if not block:
                    raise UnavailableError(f"{self.url!r} ended {missing:,} bytes too early")
                target.write(block)

    def _check(self) -> None:
        if self.file.state() != (self.size, self.state):
            raise ConflictError(f"{self.url!r} has changed since its copy began: begin again")


def find(url: str, allowed: Sequence[str], max_bytes: int) -> Origin:
    """The file at `url` if it is under one of the URLs `allowed`, with links resolved.

    Raises InvalidError for a URL that is not allowed, whether or not it exists, NotFoundError for a
    missing file, TooLargeError for more than `max_bytes`, UnavailableError when the store does not
    answer.
    """
    _check_form(url)
    if not any(_below(url, prefix) for prefix in allowed):
        raise _refused(f"is none that this machine may read; {SETTING} says which")
    file = open_object(_resolved(url, allowed))
    size, state = file.state()
    if size > max_bytes:
        raise TooLargeError(f"a dataset's file may have {max_bytes:,} bytes at most, not {size:,}")
    if not size:
        raise _refused("has no bytes")
    return Origin(url, size, state, file)


def prefixes(text: str) -> tuple[str, ...]:
    """The URLs of a setting, separated by commas. Raises InvalidError for an invalid one."""
    urls = tuple(url.strip() for url in text.split(",") if url.strip())
    for url in urls:
        _check_form(url)
    return urls


def _check_form(url: str) -> None:
    """Raise InvalidError for user names, queries, patterns and `..`."""
    rest = url.partition("://")[2].removeprefix("/").removesuffix("/")
    odd = any(part in {"", ".", ".."} for part in rest.split("/"))
    local = url.startswith("file://") and not url.startswith("file:///")
    if len(url) > MAX_URL or not URL.fullmatch(url) or odd or local:
        raise _refused("must be like s3://bucket/path or file:///folder/file, without wildcards")


def _below(url: str, prefix: str) -> bool:
    return url == prefix or url.startswith(prefix.removesuffix("/") + "/")


def _resolved(url: str, allowed: Sequence[str]) -> str:
    """The URL with links of this machine resolved, which must stay under an allowed URL."""
    if not url.startswith("file://"):
        return url
    try:
        path = Path(url.removeprefix("file://")).resolve(strict=True)
        folders = [Path(url.removeprefix("file://")).resolve() for url in allowed if _local(url)]
    except (OSError, RuntimeError) as error:
        raise NotFoundError(f"there is no file {url!r}") from error
    if not any(path.is_relative_to(folder) for folder in folders):
        raise _refused(f"leads out of what this machine may read; {SETTING} says where")
    return f"file://{path}"


def _local(url: str) -> bool:
    return url.startswith("file://")


def _refused(why: str) -> InvalidError:
    return InvalidError(f"the URL {why}", [FieldError("url", why)])
