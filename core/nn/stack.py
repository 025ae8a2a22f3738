"""Combine specs of one shape into one: numbers that differ become arrays, one value per network."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


class StackError(ValueError):
    """Specs cannot be trained as one stack; the message names the field that differs."""


def stacked(specs: Sequence[T]) -> T:
    """Return one spec for all networks of a stack, in the order of `specs`.

    Equal fields are kept; floats that differ become a float64 array `(k, 1)`. Raises StackError
    when anything else differs (kinds, shapes, integers).
    """
    first: Any = specs[0]
    if all(spec == first for spec in specs[1:]):
        return specs[0]
    if (
        not is_dataclass(first)
        or isinstance(first, type)
        or any(type(spec) is not type(first) for spec in specs)
    ):
        raise StackError(f"{type(first).__name__} differs")
    changes: dict[str, Any] = {}
    for field in fields(first):
        values = [getattr(spec, field.name) for spec in specs]
        try:
            changes[field.name] = _one_value(values)
        except StackError as error:
            raise StackError(f"{field.name}: {error}") from None
    changed: Any = replace(first, **changes)
    return changed


def _one_value(values: list[Any]) -> Any:
    first = values[0]
    if all(value == first for value in values[1:]):
        return first
    if all(isinstance(value, float) for value in values):
        return np.array(values, np.float64)[:, None]
    if isinstance(first, tuple) and all(len(value) == len(first) for value in values):
        return tuple(stacked(group) for group in zip(*values, strict=True))
    if is_dataclass(first):
        return stacked(values)
    raise StackError(f"{first!r} and {next(v for v in values if v != first)!r} differ")
