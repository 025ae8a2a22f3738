"""The rows to learn from as arrays, and how rows became arrays."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.augmentation import Augmentation
from core.data.pipeline import Pipeline
from core.data.schema import Label
from core.data.standardizer import Standardizer
from core.nn.array import Array, Shape

COPIES = 3
"""How often all features lie in memory while they are prepared: read, split, standardized."""


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
