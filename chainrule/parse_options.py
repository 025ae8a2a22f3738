"""Parse options: how a CSV file is written. They are parameters of the content type."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import quote

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
    parameters = [_parameter(name, _joined(name, value)) for name, value in (options or {}).items()]
    return "; ".join([content_type or UNTYPED, *parameters])


def _joined(name: str, value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return value
    if wrong := [text for text in value if "," in text]:
        raise ValueError(f"{name}: {wrong[0]!r} has a comma, which separates texts")
    return ",".join(value)


def _parameter(name: str, value: str) -> str:
    if value.isascii() and value.isprintable() and not set(value) & set('"\\'):
        return f'{name}="{value}"'
    return f"{name}*=utf-8''{quote(value, safe='')}"
