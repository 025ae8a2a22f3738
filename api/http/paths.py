"""Where in a request a value is wrong, written as a person would: `network[0].units`."""

from collections.abc import Callable, Sequence
from typing import Any

from api.http.fields import Fields
from core.errors import FieldError

_TAGS = {"union_tag_invalid", "union_tag_not_found"}
_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}


def field_errors(errors: Sequence[Any], body: Any, known: Callable[[], Fields]) -> list[FieldError]:
    """What pydantic found wrong with a request whose JSON body was `body`.

    `known` says which fields there are, if any is unknown. Several complaints about one field (each
    branch of a union has its own) become one.
    """
    messages: dict[str, list[str]] = {}
    places = [path(error, body) for error in errors]
    for error, where in zip(errors, places, strict=True):
        if error["type"] == "too_short" and any(one.startswith(f"{where}[") for one in places):
            continue  # a list counts as too short when its items are wrong: those are named
        said = messages.setdefault(where, [])
        text = _message(error, known)
        if text not in said:
            said.append(text)
    return [FieldError(where, "; or ".join(said)) for where, said in messages.items()]


def path(error: Any, body: Any) -> str:
    """The place of one pydantic error: dots for fields, brackets for places in a list.

    Pydantic also names the branches of unions it tried; `body` tells those from real fields.
    Places outside the body begin with `query.`, `path.` or `header.`.
    """
    source, *steps = error["loc"]
    if source != "body":
        return ".".join(str(step) for step in (source, *steps))
    kept: list[str | int] = []
    here = body
    for place, step in enumerate(steps):
        if _leads_on(here, step):
            kept, here = [*kept, step], here[step]
        elif place == len(steps) - 1 and error["type"] == "missing":
            kept.append(step)
    if error["type"] in _TAGS:
        kept.append(str(error["ctx"]["discriminator"]).strip("'"))
    return render(kept)


def _leads_on(here: Any, step: str | int) -> bool:
    if isinstance(here, dict):
        return step in here
    return isinstance(here, list) and isinstance(step, int) and step < len(here)


def render(steps: Sequence[str | int]) -> str:
    """Steps into a JSON document as a path: `["network", 0, "units"]` is `network[0].units`."""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _message(error: Any, known: Callable[[], Fields]) -> str:
    context = error.get("ctx") or {}
    if error["type"] == "union_tag_invalid":
        return f"there is no kind '{context['tag']}'; there are: {context['expected_tags']}"
    if error["type"] in _UNKNOWN:
        advice = known().advice(error["loc"][1:]) if error["loc"][0] == "body" else ""
        return f"there is no such field; {advice}" if advice else "there is no such field"
    if error["type"] == "missing":
        return "this field is required"
    return str(error["msg"]).removeprefix("Value error, ")
