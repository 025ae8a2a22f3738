"""Chainrule with 64 networks of one shape, each with its own seed and rate, trained as one."""

from collections.abc import Callable
from typing import Any

from benchmarks.core.cases import NETWORKS, Case
from benchmarks.core.frameworks import chainrule


def build(case: Case, x: Any, y: Any) -> Callable[[int], None]:
    """A function that takes that many steps with all networks at once."""
    return chainrule.build(case, x, y, networks=NETWORKS)
