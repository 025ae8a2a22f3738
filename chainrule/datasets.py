"""Datasets, as methods of the client."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from chainrule.transport import Document, Transport

UNTYPED = "application/octet-stream"
"""What a dataset file is sent as when nobody said its type: the server finds out by its name."""

_UPLOAD_SECONDS = 600.0


class Datasets:
    """Named data in immutable versions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, name: str, path: Path | str, content_type: str | None = None) -> Document:
        """Send a file as the next version of `name`.

        The server knows its format by `content_type`, or else by the file's name and first bytes.
        """
        file = Path(path)
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
