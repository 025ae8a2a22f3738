"""Dataset versions whose file stays at an external URL: fetched and parsed where needed.

datasets/ab/<digest>.origin   the URL of the file; the store has no other bytes of the version
"""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from core.data.ingest.parser import ParsedDataset, parse
from core.data.storage import origins
from core.data.storage.stores import Store
from core.errors import ConflictError, InvalidError, NotFoundError, TooLargeError


@dataclass(frozen=True)
class Reference:
    """The file of `file_bytes` bytes at `url`, which parses as `content_type` to `digest`.

    `canonical_bytes` is the size of the canonical file.
    """

    url: str
    content_type: str
    file_bytes: int
    digest: str
    canonical_bytes: int


def reference_key(digest: str) -> str:
    """The key of the reference of a version in the store."""
    return f"datasets/{digest[:2]}/{digest}.origin"


def put_reference(store: Store, reference: Reference) -> None:
    """Store the reference of a version. Raises UnavailableError."""
    store.put_bytes(json.dumps(asdict(reference)).encode(), reference_key(reference.digest))


def find_reference(store: Store, digest: str) -> Reference | None:
    """The reference of a version, or None if its bytes are in the store.

    Raises UnavailableError.
    """
    try:
        return Reference(**json.loads(store.get_bytes(reference_key(digest))))
    except NotFoundError:
        return None


class AtOrigin:
    """Makes the canonical file of a version from the file at its origin, for a cache to fetch.

    `allowed` are prefixes of the URLs that this machine may read. The canonical file
    is in its own `workspace` until it is read.
    """

    def __init__(
        self,
        reference: Reference,
        allowed: Sequence[str],
        workspace: Callable[[], AbstractContextManager[Path]],
    ) -> None:
        self._reference = reference
        self._allowed = allowed
        self._workspace = workspace

    def size(self, key: str) -> int:  # noqa: ARG002 (the signature of a source)
        """Bytes of the canonical file, whatever the key."""
        return self._reference.canonical_bytes

    def open(self, key: str, start: int = 0) -> "_Made":  # noqa: ARG002 (the signature of a source)
        """The canonical file from byte `start` on.

        Raises InvalidError when the file is gone, has changed since it was registered or may not be
        read by this machine, UnavailableError when its store does not answer or the disk is full.
        """
        with ExitStack() as stack:
            folder = stack.enter_context(self._workspace())
            file = stack.enter_context(self._made(folder).path.open("rb"))
            file.seek(start)
            return _Made(file, stack.pop_all())

    def _made(self, folder: Path) -> ParsedDataset:
        reference = self._reference
        try:
            origin = origins.find(reference.url, self._allowed, sys.maxsize)
            if origin.size != reference.file_bytes:
                raise InvalidError(f"it had {reference.file_bytes:,} bytes and has {origin.size:,}")
            body = folder / "body"
            with body.open("wb") as file:
                origin.pour(file, origin.size)
            parsed = parse(
                body,
                reference.content_type,
                folder / "canonical.arrow",
                # Registration has checked the file, by the rules of its release.
                defaults={"checks": "off"},
            )
            body.unlink()
            if parsed.digest != reference.digest:
                raise InvalidError("its content has another digest")
        except (ConflictError, InvalidError, NotFoundError, TooLargeError) as error:
            raise InvalidError(
                f"the dataset was registered in place, and {reference.url!r} cannot be used as it "
                f"was then: {error.detail}; bring the file back, or register it as a new version"
            ) from error
        return parsed


class _Made:
    """A file that is deleted after it was read."""

    def __init__(self, file: IO[bytes], stack: ExitStack) -> None:
        self._file, self._stack = file, stack

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
