"""Uploads that come in parts: what came so far lies in a folder until the last byte is here.

upload-<id>/about.json  what the file will be: name, size, SHA-256
upload-<id>/body        the bytes so far

The parts come from the client, or from a URL that the server reads piece by piece.
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
class About:
    """A file that comes in parts to be the next version of the dataset `name`.

    It is known by its `sha256`, or if it comes from a `url` by its `state` there.
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
        """Equal for equal files, so that a client that forgot it finds it again."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Parts:
    """The upload in a folder."""

    place: Path
    about: About

    @property
    def body(self) -> Path:
        """The bytes so far."""
        return self.place / "body"

    @property
    def received(self) -> int:
        """How many bytes are here."""
        return self.body.stat().st_size

    @asynccontextmanager
    async def adding(self, request: Request, offset: int) -> AsyncIterator[None]:
        """Append the request's body; what came stays, even if the client is cut off.

        Raises ConflictError when the bytes do not begin where those that are here end, or others
        are just coming, TooLargeError for more than were announced, InvalidError for none.
        """
        with self._alone():
            if offset != self.received or self.about.url:
                raise ConflictError(f"{self.received} bytes are here: go on from there")
            os.utime(self.place)
            with self.body.open("ab") as file:
                await pour(request, file, self.about.bytes - offset)
            if self.received == offset:
                raise InvalidError("the part has no bytes")
            yield

    def pull(self, origin: Origin, most: int) -> None:
        """Append the next `most` bytes of the file's `origin`; what came stays if it fails.

        Raises ConflictError when others are just coming, or the file has changed: the upload is
        then given up. Else as `Origin.pour` does.
        """
        with self._alone():
            if (origin.size, origin.state) != (self.about.bytes, self.about.state):
                self.give_up()
                raise ConflictError(f"{origin.url!r} has changed since its copy began: begin again")
            os.utime(self.place)
            with self.body.open("ab") as file:
                origin.pour(file, most)

    @contextmanager
    def complete(self) -> Iterator[Path]:
        """The whole file, which is gone afterwards unless something raises.

        Raises ConflictError when bytes are missing, InvalidError when they are not those whose
        digest was announced; the upload is then given up.
        """
        with self._alone():
            if self.received < self.about.bytes:
                raise ConflictError(f"{self.received} of {self.about.bytes} bytes are here")
            if self.about.sha256 and self._sha256() != self.about.sha256:
                self.give_up()
                raise InvalidError("the bytes are not those of the SHA-256: send the file again")
            try:
                yield self.body
            except (InvalidError, TooLargeError):
                self.give_up()  # sent again it would be no better
                raise
            self.give_up()

    def _sha256(self) -> str:
        with self.body.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def give_up(self) -> None:
        """Delete what is here."""
        shutil.rmtree(self.place, ignore_errors=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with attempted(self.place / "lock") as free:
            if not free:
                raise ConflictError("another request is at work on this upload")
            yield


def begin(folder: Path, about: About) -> Parts:
    """The upload of such a file: a new one, or what is here of it."""
    place = folder / f"upload-{about.id}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "body").touch()
    partial = place / "about.partial"
    partial.write_text(json.dumps(asdict(about)))
    partial.replace(place / "about.json")
    return Parts(place, about)


def find(folder: Path, name: str, upload_id: str) -> Parts:
    """The upload with this id for the dataset `name`. Raises NotFoundError."""
    place = folder / f"upload-{upload_id}"
    try:
        about = About(**json.loads((place / "about.json").read_text()))
    except (FileNotFoundError, ValueError):
        about = None
    if about is None or about.name != name:
        raise NotFoundError(f"there is no upload {upload_id} on this server")
    return Parts(place, about)
