"""Errors of the client: a request that the server refuses, and a server that does not answer."""

from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class InvalidField:
    """A field that the server refuses: `path` in the request, `message` with a remedy."""

    path: str
    message: str


class ProblemError(Exception):
    """The server refused a request (RFC 9457). `errors` name the fields that are wrong."""

    def __init__(
        self, status: int, title: str, detail: str = "", errors: tuple[InvalidField, ...] = ()
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.title = title
        self.detail = detail or title
        self.errors = errors

    def __str__(self) -> str:
        if not self.errors:
            return self.detail
        return "\n".join(f"{error.path}: {error.message}" for error in self.errors)

    @classmethod
    def of(cls, response: httpx.Response) -> "ProblemError":
        """Return the problem in `response`, or its status if it is not a problem document."""
        try:
            document: Any = response.json()
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            return cls(response.status_code, response.reason_phrase or "Error")
        listed = document.get("errors")
        errors = tuple(
            InvalidField(str(error.get("path", "")), str(error.get("message", "")))
            for error in (listed if isinstance(listed, list) else ())
            if isinstance(error, dict)
        )
        title = str(document.get("title") or response.reason_phrase)
        return cls(response.status_code, title, str(document.get("detail") or ""), errors)


class UnreachableError(Exception):
    """No server answered at the address."""


class AbsentServerError(UnreachableError):
    """Nothing listens at the address."""


AWAY = frozenset({502, 503, 504})
"""Statuses of a server that may answer later."""


def is_away(error: ProblemError | UnreachableError) -> bool:
    """Return whether the server may answer later, for example after a restart."""
    return isinstance(error, UnreachableError) or error.status in AWAY


class ArgumentError(ValueError):
    """An argument that no request can carry."""


class AbsentFieldError(KeyError):
    """A field that the answer of a server does not have: another release, or no Chainrule."""

    def __str__(self) -> str:
        return f"the answer of the server has no field {self.args[0]!r}"


class DeadlineError(Exception):
    """A wait took longer than its timeout."""
