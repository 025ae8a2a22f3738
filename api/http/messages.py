"""What is wrong with a field, in the words of the API instead of pydantic's."""

import json
import re
from collections.abc import Mapping
from typing import Any

from api.http.synonyms import closest

_MOST_SHOWN = 60
_EXPECTED = {
    "bool": "true or false",
    "bytes": "a text",
    "dataclass": "an object, like {...}",
    "date": "a date, like 2026-01-31",
    "datetime": "a time, like 2026-01-31T12:00:00Z",
    "dict": "an object, like {...}",
    "finite_number": "a finite number",
    "float": "a number",
    "frozen_set": "a list, like [...]",
    "int": "a whole number",
    "list": "a list, like [...]",
    "mapping": "an object, like {...}",
    "model": "an object, like {...}",
    "set": "a list, like [...]",
    "string": "a text",
    "timezone": "a time with its zone, like 2026-01-31T12:00:00Z",
    "tuple": "a list, like [...]",
}
"""What is expected, by the beginning of pydantic's types of errors."""

_COMPARISONS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_LENGTHS = {
    "too_short": ("min_length", "at least", "items"),
    "too_long": ("max_length", "at most", "items"),
    "string_too_short": ("min_length", "at least", "characters"),
    "string_too_long": ("max_length", "at most", "characters"),
}
_OF_TYPE = re.compile(
    rf"({'|'.join(sorted(_EXPECTED, key=len, reverse=True))})"
    r"(_\w*(type|parsing|from_float|aware|parsing_size))?"
)

CONTAINERS = re.compile(r"(dataclass|dict|frozen_set|list|mapping|model|set|tuple)\w*_type")
"""Types of errors that a value is no object or no list."""


def message(error: Mapping[str, Any]) -> str:
    """Return the message of a pydantic error, with what is expected and what was sent."""
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "missing":
        return "this field is required"
    if kind in ("literal_error", "enum"):
        return _choice(str(context["expected"]), error["input"])
    if kind in _COMPARISONS:
        name, words = _COMPARISONS[kind]
        return f"must be {words} {context[name]}, not {_shown(error['input'])}"
    if kind in _LENGTHS:
        name, words, things = _LENGTHS[kind]
        return f"must have {words} {context[name]} {things}"
    if kind == "string_pattern_mismatch":
        return f"{_shown(error['input'])} does not have the form {context['pattern']}"
    if (match := _OF_TYPE.fullmatch(kind)) is not None:
        return _expected(_EXPECTED[match[1]], error["input"])
    return str(error["msg"]).removeprefix("Value error, ")


def _expected(words: str, value: Any) -> str:
    if value is None:
        return f"expected {words}, not null: leave the field out to use its default, if it has one"
    return f"expected {words}, not {_shown(value)}"


def _choice(expected: str, value: Any) -> str:
    """The message for a value that is none of `expected`, such as `'minimize' or 'maximize'`."""
    names = re.findall(r"'([^']*)'", expected)
    if not isinstance(value, str):
        return _expected(expected, value)
    alike = closest(value, names) or next((n for n in names if value and n.startswith(value)), None)
    advice = f"; did you mean '{alike}'?" if alike else ""
    return f"expected {expected}, not {_shown(value)}{advice}"


def _shown(value: Any) -> str:
    """A value as JSON, cut to a readable length."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
