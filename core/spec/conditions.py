"""Conditional dimensions of a sweep: fields that are searched only where others have some value.

A dimension with `when` is placed after those without: shorter paths first, then in the order of
their names. Its condition reads the job as it is by then.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from chainrule.contract import paths
from core.search.dimension import Dimension, same

Space: TypeAlias = Mapping[str, Dimension]
Point: TypeAlias = dict[str, Any]


def place(document: Any, space: Space, values: Mapping[str, Any]) -> tuple[Any, Point]:
    """Return the document with `values` by path in it, and those values that are in it.

    Left out are values of dimensions whose condition is not met. Values of paths that are not in
    the space are placed without condition.
    """
    plain = {path: value for path, value in values.items() if not _condition(space, path)}
    placed = paths.replaced(document, plain)
    kept = dict(plain)
    for path in sorted(values.keys() - plain.keys(), key=_rank):
        if _is_met(placed, _condition(space, path)):
            placed = paths.assigned(placed, path, values[path])
            kept[path] = values[path]
    return placed, {path: value for path, value in values.items() if path in kept}


def meeting(document: Any, space: Space, path: str) -> Point | None:
    """Return values of other dimensions with which the condition of one is met, or None."""
    condition = _condition(space, path)
    point: Point = {}
    for field, allowed in condition.items():
        # Dimensions elsewhere do not change the field.
        ends = [
            {other: end}
            for other, dimension in space.items()
            if not dimension.when and paths.overlap(paths.parse(other), paths.parse(field))
            for end in dimension.ends()
        ]
        for extra in ({}, *ends):
            if _is_met(paths.replaced(document, point | extra), {field: allowed}):
                point |= extra
                break
    met = _is_met(paths.replaced(document, point), condition)
    return point if met else None


def _condition(space: Space, path: str) -> Mapping[str, Any]:
    dimension = space.get(path)
    return (dimension.when or {}) if dimension is not None else {}


def _is_met(document: Any, condition: Mapping[str, Any]) -> bool:
    """Whether each field has its value, or one of its values; a field that is missing has none."""
    for path, allowed in condition.items():
        choices = allowed if isinstance(allowed, list | tuple) else [allowed]
        steps = paths.parse(path)
        if not any(same(value, choice) for value in paths.values(document, steps)
                   for choice in choices):  # fmt: skip
            return False
    return True


def _rank(path: str) -> tuple[int, str]:
    return len(paths.parse(path)), path
