"""What an augmentation is: training rows changed a little and anew in every epoch, by chance."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.family import Family

Floats = NDArray[np.floating[Any]]
Shape = tuple[int, ...]


class Augmentation(Family, ABC):
    """Changes prepared rows of a batch. Rows that validate, test or are predicted stay as they are.

    Pictures are `(height, width)` or `(height, width, channels)`.
    """

    def objection(self, shape: Shape) -> str | None:
        """Why rows of this shape cannot be augmented so, or None."""
        return None

    @abstractmethod
    def apply(self, x: Floats, chance: np.random.Generator) -> Floats:
        """The rows `x (rows, *shape)` changed; the input is left alone."""

    @classmethod
    @abstractmethod
    def examples(cls) -> Iterator[tuple["Augmentation", Shape]]:
        """Augmentations, each with the shape of a row."""


class PictureAugmentation(Augmentation, ABC):
    """One that needs to know where rows and columns of a picture are."""

    def objection(self, shape: Shape) -> str | None:
        if len(shape) in (2, 3):
            return None
        return f"needs pictures, (height, width) or with channels; a row has shape {shape}"


def augment(
    augmentations: Sequence[Augmentation], x: Floats, seed: int, epoch: int, batch: int
) -> Floats:
    """A batch changed by all of them in turn; it depends on nothing but the numbers given."""
    name = f"{seed}/augment/{epoch}/{batch}"
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    chance = np.random.Generator(np.random.Philox(key=key))
    for one in augmentations:
        x = one.apply(x, chance)
    return x
