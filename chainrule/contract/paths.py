"""Paths to fields of a JSON document, such as `network[0].units`."""

import copy
import re
from typing import Any

_STEP = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_\-/]*)|\[(\d{1,4})\]")

Steps = tuple[str | int, ...]


def parse(path: str) -> Steps:
    """Parse a path: `network[0].units` becomes `("network", 0, "units")`. Raises ValueError."""
    steps: list[str | int] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None or (match[0][0] == ".") != (bool(steps) and match[1] is not None):
            raise ValueError(f"{path!r} is not a path like optimizer.learning_rate, network[0]")
        steps.append(match[1] if match[1] is not None else int(match[2]))
        position = match.end()
    if not steps:
        raise ValueError("a path must not be empty")
    return tuple(steps)


def overlap(a: Steps, b: Steps) -> bool:
    """Return whether one path is the other or leads to a field inside it."""
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]


def missing(document: Any, steps: Steps) -> str | None:
    """Return None if the field exists, else a message on the first step that does not."""
    value = document
    for step in steps:
        exists = isinstance(value, dict) and step in value
        if exists or (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            value = value[step]
        elif isinstance(value, dict):
            return f"there is no {step!r}; the fields are {', '.join(map(str, value))}"
        elif isinstance(value, list):
            return f"there is no [{step}]; the last index is [{len(value) - 1}]"
        else:
            return f"there is no {step!r}: the value before it is {value!r}"
    return None


def values(document: Any, steps: Steps) -> list[Any]:
    """Return the value at a path in a list, which is empty if there is none.

    A text on the way is a member by its kind: `"adam"` has the field `kind`.
    """
    value = document
    for step in steps:
        fields = {"kind": value} if isinstance(value, str) else value
        exists = isinstance(fields, dict) and step in fields
        listed = isinstance(fields, list) and isinstance(step, int) and step < len(fields)
        if not (exists or listed):
            return []
        value = fields[step]
    return [value]


def replaced(document: Any, values: dict[str, Any]) -> Any:
    """Return a copy of `document` with the value of each path in `values` replaced.

    The paths must exist (see `missing`). Raises ValueError for invalid paths.
    """
    changed = copy.deepcopy(document)
    for path, value in values.items():
        *parents, last = parse(path)
        container = changed
        for step in parents:
            container = container[step]
        container[last] = copy.deepcopy(value)
    return changed


def assigned(document: Any, path: str, value: Any) -> Any:
    """Return a copy of `document` with `value` at `path`.

    Objects on the way are made if they are missing, and the index after the last one adds an item.
    A text on the way is a member by its kind: fields of `"adam"` go into `{"kind": "adam"}`. Raises
    ValueError for an invalid path, and for one through a value that has no fields.
    """
    return _assigned(copy.deepcopy(document), parse(path), copy.deepcopy(value), path)


def _assigned(container: Any, steps: Steps, value: Any, path: str) -> Any:
    if not steps:
        return value
    step, *rest = steps
    if isinstance(step, str):
        fields = {"kind": container} if isinstance(container, str) else container
        if fields is None:
            fields = {}
        if not isinstance(fields, dict):
            raise ValueError(f"{path}: there is no {step!r} in {fields!r}")
        return {**fields, step: _assigned(fields.get(step), tuple(rest), value, path)}
    items = [] if container is None else container
    if not isinstance(items, list) or step > len(items):
        raise ValueError(f"{path}: there is no [{step}] in {items!r}")
    before = items[step] if step < len(items) else None
    return [*items[:step], _assigned(before, tuple(rest), value, path), *items[step + 1 :]]
