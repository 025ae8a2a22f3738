"""PyTorch with torch.compile."""

from collections.abc import Callable
from typing import Any

from benchmarks.core.cases import Case
from benchmarks.core.frameworks import torch as eager


def build(case: Case, x: Any, y: Any) -> Callable[[int], None]:
    """A function that takes that many steps."""
    return eager.build(case, x, y, compiled=True)
