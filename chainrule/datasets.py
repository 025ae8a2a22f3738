"""Datasets, as methods of the client."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from chainrule.problem import ProblemError, UnreachableError, is_away
from chainrule.transport import Document, Transport

UNTYPED = "application/octet-stream"
"""What a dataset file is sent as when nobody said its type: the server finds out by its name."""

PART_BYTES = 16 * 2**20
"""A larger file is sent in parts of this size."""

_UPLOAD_SECONDS = 600.0
_FAILURES = 5
_PAUSE_SECONDS = 0.5
_CONFLICT = 409


class Datasets:
    """Named data in immutable versions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self,
        name: str,
        path: Path | str,
        content_type: str | None = None,
        *,
        part_bytes: int = PART_BYTES,
        on_bytes: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> Document:
        """Send a file as the next version of `name`.

        The server knows its format by `content_type`, or else by the file's name and first bytes.
        A file of more than `part_bytes` goes in parts: an upload that was cut off goes on where it
        was, also when it is begun again later. `on_bytes` hears how many bytes are there, of how
        many.
        """
        file = Path(path)
        if file.stat().st_size > part_bytes:
            return self._in_parts(name, file, content_type or "", part_bytes, on_bytes)
        with file.open("rb") as body:
            return self._transport.send(
                "POST",
                f"/v1/datasets/{quote(name, safe='')}/versions",
                content=body,
                headers={
                    "Content-Type": content_type or UNTYPED,
                    "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
                    "Content-Length": str(file.stat().st_size),
                },
                timeout=_UPLOAD_SECONDS,
            )

    def _in_parts(
        self,
        name: str,
        file: Path,
        content_type: str,
        part_bytes: int,
        on_bytes: Callable[[int, int | None], None],
    ) -> Document:
        size = file.stat().st_size
        with file.open("rb") as body:
            digest = hashlib.file_digest(body, "sha256").hexdigest()
            announced = {
                "bytes": size,
                "sha256": digest,
                "filename": file.name,
                "content_type": content_type,
            }
            uploads = f"/v1/datasets/{quote(name, safe='')}/uploads"
            seen = self._transport.post(uploads, announced, repeatable=True)

            def send(path: str, received: int) -> Document:
                body.seek(received)
                return self._transport.send(
                    "PUT",
                    f"{path}?offset={received}",
                    content=body.read(part_bytes),
                    headers={"Content-Type": UNTYPED},
                    timeout=_UPLOAD_SECONDS,
                )

            return self._completed(f"{uploads}/{seen['id']}", seen, send, on_bytes)

    def import_from(
        self,
        name: str,
        url: str,
        content_type: str | None = None,
        *,
        in_place: bool = False,
        on_bytes: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> Document:
        """Let the server copy the file at `url` as the next version of `name`.

        The URL, `s3://bucket/key` for one, must be among those that the server may read; its
        credentials are the server's. `on_bytes` hears how many bytes are there, of how many. What
        was cut off goes on where it was when it is begun again. With `in_place` the file stays
        where it is: the server reads it once, and workers read it there.
        """
        asked = {"url": url, "content_type": content_type or "", "in_place": in_place}
        datasets = f"/v1/datasets/{quote(name, safe='')}"
        seen = self._transport.post(f"{datasets}/imports", asked, repeatable=True)

        def pull(path: str, received: int) -> Document:
            return self._transport.send("POST", f"{path}/pull", timeout=_UPLOAD_SECONDS)

        return self._completed(f"{datasets}/uploads/{seen['id']}", seen, pull, on_bytes)

    def _completed(
        self,
        path: str,
        seen: Document,
        step: Callable[[str, int], Document],
        on_bytes: Callable[[int, int | None], None],
    ) -> Document:
        """Take steps until all bytes of the upload at `path` are there; the version it becomes."""
        size, failures = seen["bytes"], 0
        while (received := seen["received"]) < size:
            on_bytes(received, size)
            try:
                seen = step(path, received)
            except (ProblemError, UnreachableError) as error:
                failures += 1
                out_of_step = isinstance(error, ProblemError) and error.status == _CONFLICT
                if failures > _FAILURES or not (is_away(error) or out_of_step):
                    raise
                time.sleep(_PAUSE_SECONDS * failures)
                seen = self._transport.get(path)
            if seen["received"] > received:
                failures = 0
        on_bytes(size, size)
        return self._transport.send("POST", f"{path}/complete", timeout=_UPLOAD_SECONDS)

    def list(self, *, tag: Sequence[str] = ()) -> Iterator[Document]:
        """All datasets, or those that have all of these tags: `key:value`."""
        return self._transport.items("/v1/datasets", tag=tag)

    def versions(self, name: str) -> Iterator[Document]:
        """All versions of a dataset."""
        return self._transport.items(f"/v1/datasets/{quote(name, safe='')}/versions")

    def get(self, name: str, version: int) -> Document:
        """One version of a dataset, with its columns."""
        return self._transport.get(f"/v1/datasets/{quote(name, safe='')}/versions/{version}")

    def describe(self, name: str) -> Document:
        """A dataset: its latest version and its aliases."""
        return self._transport.get(f"/v1/datasets/{quote(name, safe='')}")

    def change(
        self,
        name: str,
        *,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> Document:
        """Change the description or some tags of a dataset; a tag of None is taken away."""
        body: Document = {"tags": dict(tags or {})}
        if description is not None:
            body["description"] = description
        path = f"/v1/datasets/{quote(name, safe='')}"
        return self._transport.send("PATCH", path, repeatable=True, json=body)

    def derive(
        self, name: str, version: int, new: str, query: str = "", *, columns: Sequence[str] = ()
    ) -> Document:
        """Make what a query keeps of a version the next version of the dataset `new`."""
        body = {"name": new, "query": query, "columns": [*columns]}
        path = f"{_version(name, version)}/derive"
        return self._transport.send(
            "POST", path, repeatable=True, json=body, timeout=_UPLOAD_SECONDS
        )

    def pull(
        self,
        name: str,
        version: int,
        target: Path | str,
        *,
        kind: str = "parquet",
        query: str = "",
        on_bytes: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> None:
        """Write a version's rows, or those a query keeps, to a file: `parquet`, `csv` or `arrow`.

        `on_bytes` hears how many bytes have come, of how many.
        """
        wanted = f"format={quote(kind, safe='')}&query={quote(query, safe='')}"
        path = f"{_version(name, version)}/content?{wanted}"
        self._transport.download(path, Path(target), on_bytes)

    def uses(self, name: str, version: int) -> Document:
        """The jobs and models that learned from a version, and what still needs it."""
        return self._transport.get(f"{_version(name, version)}/uses")

    def erase(self, name: str, version: int, *, reason: str = "") -> Document:
        """Erase a version as soon as no job needs it; new jobs cannot have it from now on.

        Raises ProblemError (409) while an alias points at it.
        """
        path = f"{_version(name, version)}?reason={quote(reason, safe='')}"
        return self._transport.send("DELETE", path, repeatable=True)

    def query(self, name: str, version: int, query: str = "", *, preview: int = 10) -> Document:
        """How many rows of a version a query keeps, and the first of them."""
        path = f"/v1/datasets/{quote(name, safe='')}/versions/{version}/query"
        return self._transport.post(path, {"query": query, "preview": preview}, repeatable=True)

    def set_alias(self, name: str, alias: str, version: int) -> Document:
        """Let `name@alias` mean a version from now on."""
        path = f"/v1/datasets/{quote(name, safe='')}/aliases/{quote(alias, safe='')}"
        return self._transport.send("PUT", path, repeatable=True, json={"version": version})


def _version(name: str, version: int) -> str:
    return f"/v1/datasets/{quote(name, safe='')}/versions/{version}"
