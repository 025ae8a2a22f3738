"""The rows to learn from as arrays, and how rows became arrays."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.prepare.augmentation import Augmentation
from core.data.prepare.pipeline import Pipeline
from core.data.prepare.standardizer import Standardizer
from core.data.table.schema import Label
from core.nn.array import Array, Shape

COPIES = 3
"""How often all features lie in memory while they are prepared: read, split, standardized."""


WINDOW = 0.35
"""Share of the memory for rows that a window of them takes; two are there at a time."""
_LEFT = 0.45
_LEAST = 0.125


@dataclass(frozen=True)
class Part:
    """Rows that train, validate or test: `x (rows, *shape)`, `y` as the loss wants it, weights.

    `x` is an array, or a `Prepared` that reads slices of one from the disk. `numbers` are those of
    the rows in the dataset version, counted from 0.
    """

    x: Any
    y: Array
    weight: Array | None = None
    numbers: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def held_bytes(self) -> int:
        """What is in memory of it even if `x` is not."""
        held = (self.y, self.weight, self.numbers)
        return sum(int(one.nbytes) for one in held if one is not None)


@dataclass(frozen=True)
class Problem:
    """What there is to learn from."""

    train: Part
    valid: Part | None = None
    test: Part | None = None
    memory_bytes: int | None = None
    """The memory that rows read from the disk are for; None: all rows are arrays."""
    augment: tuple[Augmentation, ...] = ()
    """Chance changes of the training rows."""

    @property
    def window_bytes(self) -> int:
        """Memory for each of two windows of rows that are read from the disk.

        Less than its share when targets, weights and row numbers take much of the memory, but never
        less than an eighth of it: above three quarters they exceed it.
        """
        memory = self.memory_bytes or 0
        held = sum(one.held_bytes for one in (self.train, self.valid, self.test) if one is not None)
        return int(max(memory * _LEAST, min(memory * WINDOW, (memory - held) * _LEFT)))

    @property
    def shape(self) -> Shape:
        """The feature shape of one row."""
        return tuple(self.train.x.shape[1:])


@dataclass(frozen=True)
class Column:
    """A column as rows carry it: its name and the shape of one cell (`()`: a number or text).

    `boolean`: its numbers may be said as true and false.
    """

    name: str
    shape: Shape = ()
    text: bool = False
    boolean: bool = False


@dataclass(frozen=True)
class Encoding:
    """How rows become arrays and outputs become answers; kept with the model.

    Raw cells pass through the `pipeline`, are laid side by side and then standardized.

    `classes` holds, for each target column, the labels its codes stand for, or None for numbers.
    """

    features: tuple[Column, ...]
    targets: tuple[Column, ...]
    classes: tuple[tuple[Label, ...] | None, ...]
    standardizer: Standardizer | None = None
    pipeline: Pipeline = field(default_factory=Pipeline)
