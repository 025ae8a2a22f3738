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
