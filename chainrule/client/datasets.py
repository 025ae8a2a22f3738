"""Datasets, as methods of the client."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chainrule.client.frames import is_frame, table_file
from chainrule.client.parse_options import UNTYPED, ParseOptions, content_type_with
from chainrule.client.problem import ProblemError, UnreachableError, is_away
from chainrule.client.records import Record
from chainrule.client.transport import (
    FILE_SECONDS,
    Document,
    OnBytes,
    Transport,
    ignore_bytes,
    segment,
)

PART_BYTES = 16 * 2**20
"""Larger files are sent in parts of this size."""

_FAILURES = 5
_PAUSE_SECONDS = 0.5
_CONFLICT = 409


class Datasets:
    """Datasets: named data in immutable versions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self,
        name: str,
        data: Any,
        content_type: str | None = None,
        *,
        parse: ParseOptions | None = None,
        part_bytes: int = PART_BYTES,
        on_bytes: OnBytes = ignore_bytes,
    ) -> Record:
        """Upload a file or a DataFrame as the next version of `name`, and return the version.

        `data` is a path, or a DataFrame of pandas or polars, which is sent as Parquet without its
        index.

        Without `content_type` the server detects the format by name and first bytes. `parse` says
        how a CSV file is written: `{"decimal": ",", "nulls": ["?"], "header": "absent"}`. The
        `warnings` of the version name columns that are likely no features as they are. A file
        larger than `part_bytes` is sent in parts; an upload that broke off continues when you
        repeat it. `on_bytes` is called with the bytes received and the total. Raises OSError if
        the file cannot be read.
        """
        if is_frame(data):
            with table_file(data) as file:
                return self.upload(name, file, part_bytes=part_bytes, on_bytes=on_bytes)
        file = Path(data)
        kind = content_type_with(content_type, parse)
        if file.stat().st_size > part_bytes:
            return self._in_parts(name, file, kind, part_bytes, on_bytes)
        versions = f"/v1/datasets/{segment(name)}/versions"
        return self._transport.send_file(versions, file, kind)

    def _in_parts(
        self,
        name: str,
        file: Path,
        content_type: str,
        part_bytes: int,
        on_bytes: OnBytes,
    ) -> Record:
        size = file.stat().st_size
        with file.open("rb") as body:
            digest = hashlib.file_digest(body, "sha256").hexdigest()
            announcement = {
                "bytes": size,
                "sha256": digest,
                "filename": file.name,
                "content_type": content_type,
            }
            uploads = f"/v1/datasets/{segment(name)}/uploads"
            upload = self._transport.post(uploads, announcement, repeatable=True)

            def send(path: str, received: int) -> Record:
                body.seek(received)
                return self._transport.send(
                    "PUT",
                    f"{path}?offset={received}",
                    content=body.read(part_bytes),
                    headers={"Content-Type": UNTYPED},
                    timeout=FILE_SECONDS,
                )

            return self._completed(f"{uploads}/{upload['id']}", upload, send, on_bytes)

    def import_from(
        self,
        name: str,
        url: str,
        content_type: str | None = None,
        *,
        parse: ParseOptions | None = None,
        in_place: bool = False,
        on_bytes: OnBytes = ignore_bytes,
    ) -> Record:
        """Copy the file at `url` on the server as the next version of `name`; return the version.

        CHAINRULE_DATASET_URLS of the server must permit the URL, like `s3://bucket/key`, and the
        server's credentials are used. A copy that broke off continues when you repeat it.
        `on_bytes` is called with the bytes received and the total. With `in_place` the file is not
        copied: the server reads it once, and workers read it there. `parse` is as in `upload`.
        """
        kind = content_type_with(content_type, parse)
        body = {"url": url, "content_type": kind, "in_place": in_place}
        datasets = f"/v1/datasets/{segment(name)}"
        upload = self._transport.post(f"{datasets}/imports", body, repeatable=True)

        def pull(path: str, _received: int) -> Record:
            return self._transport.send("POST", f"{path}/pull", timeout=FILE_SECONDS)

        return self._completed(f"{datasets}/uploads/{upload['id']}", upload, pull, on_bytes)

    def _completed(
        self,
        path: str,
        upload: Document,
        step: Callable[[str, int], Document],
        on_bytes: OnBytes,
    ) -> Record:
        """Repeat `step` until the upload at `path` has all bytes, and return the new version."""
        size, failures = upload["bytes"], 0
        while (received := upload["received"]) < size:
            on_bytes(received, size)
            try:
                upload = step(path, received)
            except (ProblemError, UnreachableError) as error:
                failures += 1
                out_of_step = isinstance(error, ProblemError) and error.status == _CONFLICT
                if failures > _FAILURES or not (is_away(error) or out_of_step):
                    raise
                time.sleep(_PAUSE_SECONDS * failures)
                upload = self._transport.get(path)
            if upload["received"] > received:
                failures = 0
        on_bytes(size, size)
        return self._transport.send("POST", f"{path}/complete", timeout=FILE_SECONDS)

    def list(self, *, tag: Sequence[str] = ()) -> Iterator[Record]:
        """Yield all datasets, or those with all of these tags (`key:value`)."""
        return self._transport.items("/v1/datasets", tag=tag)

    def versions(self, name: str) -> Iterator[Record]:
        """Yield the versions of a dataset."""
        return self._transport.items(f"/v1/datasets/{segment(name)}/versions")

    def get(self, name: str, version: int) -> Record:
        """Return a version of a dataset, with its columns."""
        return self._transport.get(f"/v1/datasets/{segment(name)}/versions/{version}")

    def describe(self, name: str) -> Record:
        """Return a dataset, with its latest version and its aliases."""
        return self._transport.get(f"/v1/datasets/{segment(name)}")

    def change(
        self,
        name: str,
        *,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> Record:
        """Change the description or some tags of a dataset. None removes a tag."""
        body: Document = {"tags": dict(tags or {})}
        if description is not None:
            body["description"] = description
        path = f"/v1/datasets/{segment(name)}"
        return self._transport.send("PATCH", path, repeatable=True, json=body)

    def derive(
        self, name: str, version: int, new: str, query: str = "", *, columns: Sequence[str] = ()
    ) -> Record:
        """Save the rows of a query as the next version of the dataset `new`; return the version."""
        body = {"name": new, "query": query, "columns": [*columns]}
        path = f"{_version(name, version)}/derive"
        return self._transport.send("POST", path, repeatable=True, json=body, timeout=FILE_SECONDS)

    def pull(
        self,
        name: str,
        version: int,
        target: Path | str,
        *,
        kind: str = "parquet",
        query: str = "",
        on_bytes: OnBytes = ignore_bytes,
    ) -> None:
        """Write the rows of a version, or of a query, to a `parquet`, `csv` or `arrow` file.

        `on_bytes` is called with the bytes received and the total, if known. Raises OSError if the
        file cannot be written.
        """
        parameters = f"format={segment(kind)}&query={segment(query)}"
        path = f"{_version(name, version)}/content?{parameters}"
        self._transport.download(path, Path(target), on_bytes)

    def uses(self, name: str, version: int) -> Record:
        """Return the jobs and models that learned from a version, and what still needs it."""
        return self._transport.get(f"{_version(name, version)}/uses")

    def erase(self, name: str, version: int, *, reason: str = "") -> Record:
        """Erase a version when no job needs it any more. New jobs cannot use it from now on.

        Raises ProblemError (409) while an alias points at it.
        """
        path = f"{_version(name, version)}?reason={segment(reason)}"
        return self._transport.send("DELETE", path, repeatable=True)

    def query(self, name: str, version: int, query: str = "", *, preview: int = 10) -> Record:
        """Return the number of rows that a query keeps, and the first `preview` of them."""
        path = f"/v1/datasets/{segment(name)}/versions/{version}/query"
        return self._transport.post(path, {"query": query, "preview": preview}, repeatable=True)

    def set_alias(self, name: str, alias: str, version: int) -> Record:
        """Point `name@alias` at a version."""
        path = f"/v1/datasets/{segment(name)}/aliases/{segment(alias)}"
        return self._transport.send("PUT", path, repeatable=True, json={"version": version})


def _version(name: str, version: int) -> str:
    return f"/v1/datasets/{segment(name)}/versions/{version}"
