"""Uploads in parts, which are collected in a folder until they are complete.

upload-<id>/about.json  name, size and SHA-256 of the file
upload-<id>/body        the bytes received so far

The client sends the parts, or the server reads them from a URL.
"""

import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from fastapi import Request

from api.upload.body import pour
from core.data.storage.locks import attempted
from core.data.storage.origins import Origin
from core.errors import ConflictError, InvalidError, NotFoundError, TooLargeError


@dataclass(frozen=True)
class UploadInfo:
    """A file that is uploaded in parts to become the next version of the dataset `name`.

    Its content is identified by `sha256`, or for a file from a `url` by its `state` there.
    """

    name: str
    filename: str
    content_type: str
    bytes: int
    sha256: str = ""
    url: str = ""
    state: str = ""
    in_place: bool = False

    @property
    def id(self) -> str:
        """A digest of the fields: equal files have equal ids, so clients can resume."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class PartialFile:
    """An upload in a folder."""

    folder: Path
    info: UploadInfo

    @property
    def body(self) -> Path:
        """The file with the bytes received so far."""
        return self.folder / "body"

    @property
    def received(self) -> int:
        """The number of bytes received."""
        return self.body.stat().st_size

    @asynccontextmanager
    async def append(self, request: Request, offset: int) -> AsyncIterator[None]:
        """Append the body of a request. Received bytes are kept even if the client disconnects.

        Raises ConflictError if `offset` is not the number of received bytes or another request
        is appending, TooLargeError for more bytes than announced, and InvalidError for none.
        """
        with self._locked():
            if offset != self.received or self.info.url:
                raise ConflictError(f"{self.received} bytes were received: continue from there")
            os.utime(self.folder)
            with self.body.open("ab") as file:
                await pour(request, file, self.info.bytes - offset)
            if self.received == offset:
                raise InvalidError("the part has no bytes")
            yield

    def pull(self, origin: Origin, max_bytes: int) -> None:
        """Append the next `max_bytes` bytes of `origin`. Received bytes are kept if it fails.

        Raises ConflictError if another request is appending, or if the file has changed, which
        discards the upload; and what `Origin.pour` raises.
        """
        with self._locked():
            if (origin.size, origin.state) != (self.info.bytes, self.info.state):
                self.discard()
                raise ConflictError(f"{origin.url!r} has changed since this upload started")
            os.utime(self.folder)
            with self.body.open("ab") as file:
                origin.pour(file, max_bytes)

    @contextmanager
    def complete(self) -> Iterator[Path]:
        """The complete file, which is deleted afterwards unless an exception is raised.

        Raises ConflictError if bytes are missing. Raises InvalidError and discards the upload if
        the bytes do not have the announced digest.
        """
        with self._locked():
            if self.received < self.info.bytes:
                raise ConflictError(f"{self.received} of {self.info.bytes} bytes were received")
            if self.info.sha256 and self._sha256() != self.info.sha256:
                self.discard()
                raise InvalidError("the bytes do not match the SHA-256: send the file again")
            try:
                yield self.body
            except (InvalidError, TooLargeError):
                self.discard()  # sending it again cannot help
                raise
            self.discard()

    def _sha256(self) -> str:
        with self.body.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def discard(self) -> None:
        """Delete the upload."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with attempted(self.folder / "lock") as acquired:
            if not acquired:
                raise ConflictError("another request is using this upload")
            yield


def begin(folder: Path, info: UploadInfo) -> PartialFile:
    """Start the upload of a file, or return the existing one."""
    upload = folder / f"upload-{info.id}"
    upload.mkdir(parents=True, exist_ok=True)
    (upload / "body").touch()
    partial = upload / "about.partial"
    partial.write_text(json.dumps(asdict(info)))
    partial.replace(upload / "about.json")
    return PartialFile(upload, info)


def find(folder: Path, name: str, upload_id: str) -> PartialFile:
    """Return the upload with this id for the dataset `name`. Raises NotFoundError."""
    upload = folder / f"upload-{upload_id}"
    try:
        info = UploadInfo(**json.loads((upload / "about.json").read_text()))
    except (FileNotFoundError, ValueError):
        info = None
    if info is None or info.name != name:
        raise NotFoundError(f"there is no upload {upload_id} on this server")
    return PartialFile(upload, info)
