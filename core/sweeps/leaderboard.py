"""The best trials so far, kept with the sweep: nobody has to compare thousands to name one."""

from collections.abc import Mapping, Sequence
from typing import Any

Standing = tuple[int, tuple[float, ...]]
"""A trial's number and its costs: objectives with the sign that makes less better."""


def costs(spec: Mapping[str, Any], objectives: Sequence[float]) -> tuple[float, ...]:
    """Objectives so that less is better, whatever the directions are."""
    given = spec["objective"]
    wanted = given if isinstance(given, list) else [given]
    return tuple(
        value if one["direction"] == "minimize" else -value
        for one, value in zip(wanted, objectives, strict=True)
    )


def joined(leading: Sequence[Standing], one: Standing) -> list[Standing]:
    """The best of those that led so far and one more: the first of equals, or all on the front."""
    if len(one[1]) == 1:
        return [min([*leading, one], key=lambda standing: (standing[1], standing[0]))]
    if any(dominates(other, one[1]) for _, other in leading):
        return list(leading)
    return sorted([*(kept for kept in leading if not dominates(one[1], kept[1])), one])


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one is as good in everything and better in something."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
