"""Constant learning rate."""

from collections.abc import Iterator
from typing import Any, Literal

from core.family import member
from core.nn.schedule import Progress, Schedule


@member
class Constant(Schedule):
    """The factor is always 1."""

    kind: Literal["constant"] = "constant"

    def factor(self, progress: Progress) -> Any:
        return 1.0

    @classmethod
    def examples(cls) -> Iterator["Constant"]:
        yield cls()
