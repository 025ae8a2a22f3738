"""Parse options: how a CSV file is written. They are parameters of the content type."""

from collections.abc import Mapping, Sequence
from email.message import Message
from typing import TypeAlias

ParseOptions: TypeAlias = Mapping[str, str | Sequence[str]]
"""`decimal`, `thousands` and `delimiter` are marks, `nulls` and `text` one text or several.

`header` is `present` or `absent`.
"""

UNTYPED = "application/octet-stream"
"""Content type of a file of unknown type: the server detects it by name and first bytes."""


def content_type_with(content_type: str | None, options: ParseOptions | None) -> str:
    """Return the content type with the options as its parameters.

    Raises ValueError for a text in a list that has a comma, which separates them.
    """
    message = Message()
    message["content-type"] = content_type or UNTYPED
    for name, value in (options or {}).items():
        # With a charset, quotes and backslashes are encoded, too (RFC 2231).
        message.set_param(name, _joined(name, value), charset="utf-8")
    return str(message["content-type"])


def _joined(name: str, value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return value
    if wrong := [text for text in value if "," in text]:
        raise ValueError(f"{name}: {wrong[0]!r} has a comma, which separates texts")
    return ",".join(value)
