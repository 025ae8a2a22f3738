"""Constant learning rate."""

from typing import Any, Literal

from core.family import member
from core.nn.schedule import Progress, Schedule


@member
class Constant(Schedule):
    """The factor is always 1."""

    kind: Literal["constant"] = "constant"

    def factor(self, progress: Progress) -> Any:
        return 1.0
