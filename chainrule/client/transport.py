"""HTTP requests to the API: address, token, retries and errors."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from chainrule.client.problem import (
    AWAY,
    AbsentServerError,
    ArgumentError,
    ProblemError,
    UnreachableError,
)
from chainrule.client.records import Record, decoded

Document = dict[str, Any]
"""A JSON object of the API."""


OnBytes = Callable[[int, int | None], None]
"""Called with the bytes transferred so far and the total, if known."""

_ATTEMPTS = 3
_PAUSE_SECONDS = 0.3
_CONNECT_SECONDS = 5.0
_RECONNECTIONS = 7
_LONGEST_PAUSE_SECONDS = 5.0
_SILENCE_SECONDS = 60.0
FILE_SECONDS = 600.0
"""Timeout of a request with a file, which the server parses before it answers."""


def ignore_bytes(_transferred: int, _total: int | None) -> None:
    """Ignore the progress of a transfer."""


def segment(name: str, *, safe: str = "") -> str:
    """Return a name as one segment of a path. Raises ArgumentError for an empty one."""
    if not name:
        raise ArgumentError("a name or id is empty")
    # A client takes these two for relative paths, and asks for something else.
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe=safe)


class Transport:
    """Requests to one server. Repeatable requests are retried when the network fails."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout_seconds: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        headers = _sendable({"Authorization": f"Bearer {token}"} if token else {})
        timeout = httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS)
        try:
            address = httpx.URL(self.url)
        except (httpx.InvalidURL, ValueError) as error:
            raise ArgumentError(f"{self.url!r} is not an address (--url): {error}") from None
        if address.scheme not in ("http", "https") or not address.host:
            raise ArgumentError(
                f"{self.url!r} is not the address of a server (--url): write http://HOST:PORT"
            )
        self._http = httpx.Client(
            base_url=address, headers=headers, timeout=timeout, transport=transport
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Record:
        """Return the object at `path`. Query values of None are left out."""
        return self.send("GET", path, repeatable=True, params=_given(query))

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        repeatable: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Record:
        """Send a POST and return its answer. `repeatable`: sending it twice does no harm."""
        return self.send("POST", path, repeatable, json=body, headers=headers)

    def items(self, path: str, cursor: str | None = None, **query: Any) -> Iterator[Record]:
        """Yield every item of a list, page after page, from the page at `cursor` on."""
        while True:
            page = self.get(path, **query, cursor=cursor)
            yield from page["items"]
            cursor = page.get("next")
            if cursor is None:
                return

    def send(self, method: str, path: str, repeatable: bool = False, **options: Any) -> Record:
        """Send a request and return the JSON object in its response. Raises as `content` does."""
        return self._object(self._json(method, path, repeatable, **options))

    def objects(self, path: str) -> list[Record]:
        """Return the list of JSON objects at `path`. Raises as `content` does."""
        return self._objects(self._json("GET", path, repeatable=True))

    def send_file(self, path: str, file: Path, content_type: str, **query: Any) -> Record:
        """Send a file as the body of a POST. Query values of None are left out.

        Raises as `content` does, and OSError.
        """
        with file.open("rb") as body:
            return self.send(
                "POST",
                path,
                content=body,
                headers={
                    "Content-Type": content_type,
                    "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
                    "Content-Length": str(file.stat().st_size),
                },
                timeout=FILE_SECONDS,
                params=_given(query),
            )

    def delete(self, path: str, **options: Any) -> None:
        """Delete what is at `path`. Raises as `content` does."""
        self._answer("DELETE", path, repeatable=False, **options)

    def content(self, path: str) -> bytes:
        """Return the bytes at `path`.

        Raises ProblemError if the server refuses, UnreachableError if no server answers.
        """
        return self._answer("GET", path, repeatable=True).content

    def download(self, path: str, target: Path, on_bytes: OnBytes) -> None:
        """Write the bytes at `path` to the file `target`, completely or not at all.

        `on_bytes` is called with the bytes received and the total, if known. Raises as `content`
        does, and OSError if the file cannot be written.
        """
        partial = target.with_name(f"{target.name}.partial")
        try:
            with self._http.stream("GET", path) as response, partial.open("wb") as file:
                if not response.is_success:
                    response.read()
                    raise ProblemError.of(response)
                length = response.headers.get("Content-Length")
                for block in response.iter_bytes():
                    file.write(block)
                    on_bytes(file.tell(), int(length) if length else None)
            partial.replace(target)
        except httpx.RequestError as error:
            raise self._unreachable(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def stream(self, path: str, after: str | None = None) -> Iterator[ServerSentEvent]:
        """Yield the server-sent events at `path` after the id `after`, until the server ends them.

        Reconnects after the last event if the connection breaks. Raises as `content` does.
        """
        failures = 0
        while True:
            try:
                for event in self._events(path, after):
                    failures, after = 0, event.id or after
                    yield event
                return
            except httpx.RequestError as error:
                failure: Exception = self._unreachable(error)
            except ProblemError as error:
                if error.status not in AWAY:
                    raise
                failure = error
            failures += 1
            if failures > _RECONNECTIONS:
                raise failure
            time.sleep(min(_PAUSE_SECONDS * 2 ** (failures - 1), _LONGEST_PAUSE_SECONDS))

    def _events(self, path: str, after: str | None) -> Iterator[ServerSentEvent]:
        """Yield the events of one connection, until `end`. Raises httpx.TransportError."""
        headers = {} if after is None else {"Last-Event-ID": after}
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        with connect_sse(self._http, "GET", path, headers=headers, timeout=timeout) as source:
            if source.response.status_code == httpx.codes.NO_CONTENT:
                return
            if not source.response.is_success:
                source.response.read()
                raise ProblemError.of(source.response)
            for event in source.iter_sse():
                yield event
                if event.event == "end":
                    return
        raise httpx.RemoteProtocolError("the stream ended early")

    def _json(self, method: str, path: str, repeatable: bool, **options: Any) -> Any:
        """Return the JSON document in the response to a request."""
        response = self._answer(method, path, repeatable, **options)
        try:
            return decoded(response.content)
        except (ValueError, RecursionError):
            raise self._foreign("no JSON") from None

    def _object(self, document: Any) -> Record:
        """Return a part of an answer that has to be a JSON object."""
        if not isinstance(document, Record):
            raise self._foreign("no object")
        if "items" in document:
            self._objects(document["items"])
        return document

    def _objects(self, listed: Any) -> list[Record]:
        """Return a part of an answer that has to be a list of JSON objects."""
        if not isinstance(listed, list):
            raise self._foreign("no list")
        return [self._object(item) for item in listed]

    def _foreign(self, reason: str) -> UnreachableError:
        return UnreachableError(f"{self.url} is not a Chainrule server: {reason}")

    def _answer(self, method: str, path: str, repeatable: bool, **options: Any) -> httpx.Response:
        _sendable(options.get("headers"))
        for attempt in range(1, (_ATTEMPTS if repeatable else 1) + 1):
            if attempt > 1:
                time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 2))
            try:
                response = self._http.request(method, path, **options)
            except httpx.RequestError as error:
                failure: Exception = self._unreachable(error)
                continue
            if response.is_success:
                return response
            failure = ProblemError.of(response)
            if response.status_code not in AWAY:
                break
        raise failure

    def _unreachable(self, error: httpx.RequestError) -> UnreachableError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return AbsentServerError(f"nothing answers at {self.url}")
        return UnreachableError(f"{self.url}: {error or type(error).__name__}")


def _given(query: Document) -> Document:
    return {name: value for name, value in query.items() if value is not None}


def _sendable(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return headers that a request can carry. Raises ArgumentError for others."""
    for name, text in (headers or {}).items():
        if not (text.isascii() and text.isprintable()):
            shown = "the token" if name == "Authorization" else f"{name} {text!r}"
            raise ArgumentError(f"{shown} is not printable ASCII text: use letters and digits")
    return headers or {}
