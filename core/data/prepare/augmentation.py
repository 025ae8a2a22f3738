"""The base of augmentations: random changes of training rows, different in every epoch."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.family import Family

Floats = NDArray[np.floating[Any]]
Shape = tuple[int, ...]


class Augmentation(Family, ABC):
    """Changes the prepared rows of a training batch; other rows are never changed.

    Pictures are `(height, width)` or `(height, width, channels)`.
    """

    def objection(self, shape: Shape) -> str | None:
        """Why rows of this shape cannot be augmented, or None."""
        return None

    @abstractmethod
    def apply(self, x: Floats, generator: np.random.Generator) -> Floats:
        """The changed rows of `x (rows, *shape)`; the input is not changed."""

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, Shape]]:
        """Yield augmentations, each with the shape of a row."""
        return ((cls(**fields), shape) for fields, shape in cls.EXAMPLES)


class PictureAugmentation(Augmentation, ABC):
    """An augmentation of pictures."""

    def objection(self, shape: Shape) -> str | None:
        if len(shape) in (2, 3):
            return None
        return f"needs pictures, (height, width) or with channels; a row has shape {shape}"


def augment(
    augmentations: Sequence[Augmentation], x: Floats, seed: int, epoch: int, batch: int
) -> Floats:
    """A batch changed by all augmentations in turn. The result depends on the arguments alone."""
    name = f"{seed}/augment/{epoch}/{batch}"
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    generator = np.random.Generator(np.random.Philox(key=key))
    for augmentation in augmentations:
        x = augmentation.apply(x, generator)
    return x
