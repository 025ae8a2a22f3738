"""What a network learns from: arrays for each part, and how rows are encoded as arrays."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from core.data.prepare.augmentation import Augmentation
from core.data.prepare.pipeline import Pipeline, Standardizer
from core.data.table.schema import Label
from core.nn.array import Array, Shape

BUFFER = 0.35
"""Share of the memory for rows that one buffer of a shuffle takes; there are two at a time."""
REST = 0.45
"""Largest share for one buffer of the memory that targets, weights and row numbers leave."""
LEAST = 0.125
"""Smallest share of the memory for one buffer."""

Classes: TypeAlias = tuple[tuple[Label, ...] | None, ...]
"""The labels of each target column in the order of their codes, or None for numbers."""


@dataclass(frozen=True)
class Part:
    """Rows that train, validate or test, or a batch of them.

    `x (rows, *shape)` are features, `y` targets as the loss expects them, `weight` sample weights.
    `x` is an array, or `StreamedFeatures` whose slices are read from the disk. `numbers` are the
    numbers of the rows in the dataset version, from 0. `standardizer` has standardized `y`.
    """

    x: Any
    y: Array
    weight: Array | None = None
    numbers: NDArray[np.int64] | None = None
    standardizer: Standardizer | None = None

    def __len__(self) -> int:
        return len(self.x)

    def in_units(self, y: Array) -> Array:
        """Predictions or targets on the scale of `y`, in the units of the data."""
        return in_units(self.standardizer, y)

    @property
    def resident_bytes(self) -> int:
        """Bytes of everything but `x`."""
        arrays = (self.y, self.weight, self.numbers)
        return sum(int(array.nbytes) for array in arrays if array is not None)


@dataclass(frozen=True)
class Dataset:
    """The rows to train, validate and test on."""

    train: Part
    valid: Part | None = None
    test: Part | None = None
    memory_bytes: int | None = None
    """Memory for rows that are read from the disk; None when all rows are arrays."""
    augment: tuple[Augmentation, ...] = ()
    """Random changes of the training rows."""

    @property
    def buffer_bytes(self) -> int:
        """Memory for each of the two buffers of a shuffle of rows read from the disk.

        Smaller when targets, weights and row numbers take much of the memory, but never less than
        an eighth of it: beyond three quarters of the memory they exceed it.
        """
        memory = self.memory_bytes or 0
        parts = [part for part in (self.train, self.valid, self.test) if part is not None]
        rest = memory - sum(part.resident_bytes for part in parts)
        return int(max(memory * LEAST, min(memory * BUFFER, rest * REST)))

    @property
    def shape(self) -> Shape:
        """The feature shape of one row."""
        return tuple(self.train.x.shape[1:])


@dataclass(frozen=True)
class Column:
    """A column of raw rows: its name and the shape of one cell (`()`: a number or text).

    `boolean` says whether its numbers may be given as true and false.
    """

    name: str
    shape: Shape = ()
    text: bool = False
    boolean: bool = False


@dataclass(frozen=True)
class Encoding:
    """How raw rows become features and outputs become answers; saved with the model.

    Raw cells pass through the `pipeline`, are concatenated and then standardized. `classes` holds
    for each target column the labels of its codes, or None for numbers. The network was trained on
    targets that `target_standardizer` has standardized, if there is one.
    """

    features: tuple[Column, ...]
    targets: tuple[Column, ...]
    classes: Classes
    standardizer: Standardizer | None = None
    pipeline: Pipeline = field(default_factory=Pipeline)
    target_standardizer: Standardizer | None = None

    def in_units(self, outputs: Array) -> Array:
        """Outputs `(rows, *output_shape)` in the units of the data."""
        return in_units(self.target_standardizer, outputs)

    def on_scale(self, y: Array, dtype: DTypeLike) -> Array:
        """Targets `(rows, *output_shape)` on the scale of the outputs, as `dtype`."""
        standardizer = self.target_standardizer
        return y if standardizer is None else standardizer.apply(y, dtype)


def in_units(standardizer: Standardizer | None, y: Array) -> Array:
    """Numbers that a target standardizer, if there is one, standardized: in the data's units."""
    return y if standardizer is None else standardizer.invert(y)
