"""What a schedule is: how the learning rate changes while training goes on."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from core.family import Family


@dataclass(frozen=True)
class Progress:
    """How far training is: updates and epochs done, how many are planned, losses seen so far.

    `losses` are the watched losses at the end of each epoch (validation if there is one), each a
    number, or one for each network: `(k,)` or `(k, 1)`.
    """

    step: int
    epoch: int
    steps_total: int
    epochs_total: int
    losses: tuple[Any, ...] = ()


class Schedule(Family):
    """A factor on the optimizer's learning rate, a pure function of progress."""

    @abstractmethod
    def factor(self, progress: Progress) -> Any:
        """The factor for the coming update: one number, or an array `(k, 1)` in a stack."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator["Schedule"]:
        """Members worth testing."""


def elapsed(progress: Progress, unit: Literal["epoch", "step"]) -> int:
    """Whole epochs, or steps, that are done."""
    return progress.epoch if unit == "epoch" else progress.step


def passed(progress: Progress) -> float:
    """The share of all planned steps that is done, from 0 to 1."""
    return min(1.0, progress.step / max(1, progress.steps_total))
