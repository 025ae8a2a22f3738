"""The schedule interface: how the learning rate changes during training."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

from core.family import Family


@dataclass(frozen=True)
class Progress:
    """Progress of training: completed and planned updates and epochs, and the losses so far.

    `losses` holds the loss of each completed epoch (the validation loss if there is one): a number,
    or an array `(k,)` or `(k, 1)` with one per network.
    """

    step: int
    epoch: int
    steps_total: int
    epochs_total: int
    losses: tuple[Any, ...] = ()


class Schedule(Family):
    """Base of schedules: a factor on the learning rate, a pure function of progress."""

    @abstractmethod
    def factor(self, progress: Progress) -> Any:
        """Return the factor of the next update: a number, or an array `(k, 1)` in a stack."""

    @classmethod
    def examples(cls) -> Iterator[Self]:
        """Yield members to test."""
        return (cls(**fields) for fields in cls.EXAMPLES)


def elapsed(progress: Progress, unit: Literal["epoch", "step"]) -> int:
    """Return the completed epochs or steps."""
    return progress.epoch if unit == "epoch" else progress.step


def completed(progress: Progress) -> float:
    """Return the completed fraction of all planned steps, from 0 to 1."""
    return min(1.0, progress.step / max(1, progress.steps_total))
