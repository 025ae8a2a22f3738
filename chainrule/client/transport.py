"""HTTP requests to the API: address, token, retries and errors."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from chainrule.client.problem import AWAY, AbsentServerError, ProblemError, UnreachableError
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
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS)
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout, transport=transport
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
        response = self._answer(method, path, repeatable, **options)
        try:
            document: Record = decoded(response.content)
        except ValueError:
            raise UnreachableError(f"{self.url} is not a Chainrule server: no JSON") from None
        return document

    def send_file(self, path: str, file: Path, content_type: str, **options: Any) -> Record:
        """Send a file as the body of a POST. Raises as `content` does, and OSError."""
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
                **options,
            )

    def delete(self, path: str) -> None:
        """Delete what is at `path`. Raises as `content` does."""
        self._answer("DELETE", path, repeatable=False)

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
        except httpx.TransportError as error:
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
            except httpx.TransportError as error:
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

    def _answer(self, method: str, path: str, repeatable: bool, **options: Any) -> httpx.Response:
        for attempt in range(1, (_ATTEMPTS if repeatable else 1) + 1):
            if attempt > 1:
                time.sleep(_PAUSE_SECONDS * 2 ** (attempt - 2))
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                failure: Exception = self._unreachable(error)
                continue
            if response.is_success:
                return response
            failure = ProblemError.of(response)
            if response.status_code not in AWAY:
                break
        raise failure

    def _unreachable(self, error: httpx.TransportError) -> UnreachableError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return AbsentServerError(f"nothing answers at {self.url}")
        return UnreachableError(f"{self.url}: {error or type(error).__name__}")


def _given(query: Document) -> Document:
    return {name: value for name, value in query.items() if value is not None}
