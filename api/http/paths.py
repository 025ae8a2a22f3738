"""Paths of invalid values in a request, such as `network[0].units`."""

from collections.abc import Callable, Sequence
from typing import Any

from api.http.fields import Fields
from api.http.messages import CONTAINERS, message
from api.http.synonyms import closest
from core.errors import FieldError

_TAGS = {"union_tag_invalid", "union_tag_not_found"}
_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}


def field_errors(errors: Sequence[Any], body: Any, known: Callable[[], Fields]) -> list[FieldError]:
    """Convert pydantic errors about a request with the JSON body `body`.

    `known` returns the known fields; it is called for unknown fields only. Several errors of one
    field, such as one for each branch of a union, become one.
    """
    messages: dict[str, list[str]] = {}
    paths = [path(error, body) for error in errors]
    for error, where in zip(errors, paths, strict=True):
        if error["type"] == "too_short" and any(other.startswith(f"{where}[") for other in paths):
            continue  # pydantic calls a list with invalid items too short; the items are reported
        if CONTAINERS.fullmatch(error["type"]) and _has_parts(where, paths):
            continue  # the value fits another branch of the union, whose fields are reported
        field_messages = messages.setdefault(where, [])
        text = _message(error, known)
        if text not in field_messages:
            field_messages.append(text)
    return [FieldError(where, "; or ".join(texts)) for where, texts in messages.items()]


def _has_parts(where: str, paths: Sequence[str]) -> bool:
    """Whether one of the paths leads into the value at `where`."""
    return any(where and other.startswith((f"{where}.", f"{where}[")) for other in paths)


def path(error: Any, body: Any) -> str:
    """The path of one pydantic error: dots for fields, brackets for list indices.

    Pydantic locations also contain union branches, which are not part of `body` and are left out.
    Paths outside the body start with `query.`, `path.` or `header.`.
    """
    source, *steps = error["loc"]
    if source != "body":
        return ".".join(str(step) for step in (source, *steps))
    kept: list[str | int] = []
    value = body
    for index, step in enumerate(steps):
        if _contains(value, step):
            kept, value = [*kept, step], value[step]
        elif index == len(steps) - 1 and error["type"] == "missing":
            kept.append(step)
    if error["type"] in _TAGS and isinstance(value, dict):
        kept.append(str(error["ctx"]["discriminator"]).strip("'"))
    return render(kept)


def _contains(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def render(steps: Sequence[str | int]) -> str:
    """Join steps into a JSON document: `["network", 0, "units"]` becomes `network[0].units`."""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _message(error: Any, known: Callable[[], Fields]) -> str:
    context = error.get("ctx") or {}
    if error["type"] == "union_tag_invalid":
        kinds = context["expected_tags"]
        meant = closest(str(context["tag"]), [kind.strip("' ") for kind in kinds.split(",")])
        advice = f"did you mean '{meant}'? " if meant else ""
        return f"unknown kind '{context['tag']}'; {advice}known kinds: {kinds}"
    if error["type"] in _UNKNOWN:
        advice = known().advice(error["loc"][1:]) if error["loc"][0] == "body" else ""
        return f"unknown field; {advice}" if advice else "unknown field"
    return message(error)
