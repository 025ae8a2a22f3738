"""Kinds of plots of a search, without what draws them."""

from typing import Literal, TypeAlias, get_args

PlotKind: TypeAlias = Literal[
    "history",
    "importances",
    "parallel_coordinates",
    "slices",
    "contours",
    "distribution",
    "learning_curves",
    "pareto_front",
]
KINDS: tuple[PlotKind, ...] = get_args(PlotKind)


def kinds(fields: int, objectives: int) -> list[PlotKind]:
    """Return the plots that apply to a search with so many fields and objectives."""
    without: set[PlotKind] = set() if 2 <= objectives <= 3 else {"pareto_front"}
    if fields < 2:
        without.add("contours")
    return [kind for kind in KINDS if kind not in without]
