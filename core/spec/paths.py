"""Fields of a JSON document by path, written as people do: `network[0].units`."""

import copy
import re
from typing import Any

_STEP = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_\-/]*)|\[(\d{1,4})\]")

Steps = tuple[str | int, ...]


def parse(path: str) -> Steps:
    """The steps of a path: `network[0].units` is `("network", 0, "units")`.

    Raises ValueError for what is no path.
    """
    steps: list[str | int] = []
    place = 0
    while place < len(path):
        match = _STEP.match(path, place)
        if match is None or (match[0][0] == ".") != (bool(steps) and match[1] is not None):
            raise ValueError(f"{path!r} is not a path like optimizer.learning_rate, network[0]")
        steps.append(match[1] if match[1] is not None else int(match[2]))
        place = match.end()
    if not steps:
        raise ValueError("a path must not be empty")
    return tuple(steps)


def missing(document: Any, steps: Steps) -> str | None:
    """None when the field is there; else what is, at the place where the path leads astray."""
    here = document
    for step in steps:
        known = isinstance(here, dict) and step in here
        if known or (isinstance(here, list) and isinstance(step, int) and step < len(here)):
            here = here[step]
        elif isinstance(here, dict):
            return f"there is no {step!r}; there are: {', '.join(map(str, here))}"
        elif isinstance(here, list):
            return f"there is no [{step}]; the last one is [{len(here) - 1}]"
        else:
            return f"there is no {step!r}: what stands before it is {here!r}"
    return None


def replaced(document: Any, values: dict[str, Any]) -> Any:
    """A copy of `document` in which each path of `values` holds that value.

    The paths must be there (`missing`). Raises ValueError for what is no path.
    """
    changed = copy.deepcopy(document)
    for path, value in values.items():
        *way, last = parse(path)
        here = changed
        for step in way:
            here = here[step]
        here[last] = copy.deepcopy(value)
    return changed
