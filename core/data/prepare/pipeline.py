"""What preparation learned from the training rows, and how it changes rows: steps, standardizer.

A model exporter needs `Pipeline.steps`, which holds for each column its steps in order with what
each learned, and the `Standardizer` that follows them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import TypeAdapter

import core.data.prepare.steps  # noqa: F401  (the members register themselves)
from core.data.prepare.moments import Moments, divisor
from core.data.prepare.plan import plan
from core.data.prepare.preparation import (
    CellError,
    Cells,
    Feature,
    Learned,
    Preparation,
    Shape,
)
from core.errors import InvalidError
from core.family import unused_additions

Floats = NDArray[np.floating[Any]]
BLOCK_NUMBERS = 1 << 18
"""Numbers that are standardized at a time, so that the float64 arithmetic needs little memory."""


@dataclass(frozen=True)
class Step:
    """One step on one column, and what it learned there."""

    column: str
    preparation: Preparation
    learned: Learned


class ColumnCellError(CellError):
    """A cell of one column that a step of kind `kind` cannot prepare."""

    def __init__(self, column: str, kind: str, row: int, message: str) -> None:
        super().__init__(row, message)
        self.column = column
        self.kind = kind

    def in_row(self, number: int) -> InvalidError:
        """The error for a person, with the number of the row in the dataset, from 0."""
        return InvalidError(f"column {self.column!r}, row {number + 1}, {self.kind}: {self.detail}")


@dataclass(frozen=True)
class Pipeline:
    """The fitted steps of all columns, in order."""

    steps: tuple[Step, ...] = ()

    @classmethod
    def fit(
        cls,
        preparations: Sequence[Preparation],
        features: Sequence[Feature],
        read: Callable[[str], Iterable[Cells]],
        *,
        whole: bool = False,
    ) -> Self:
        """Learn from training cells; `read` returns those of a column in blocks, anew each time.

        With `whole` a step learns from all cells of a column at once. Otherwise it passes over the
        blocks, which may change the last digits. Raises ColumnCellError, with the row among the
        training rows, and InvalidError when a column cannot be learned from.
        """
        steps: list[Step] = []
        columns = plan(preparations, features).columns
        for preparation, names in zip(preparations, columns, strict=True):
            for name in names:
                blocks = cls(tuple(steps)).prepare(name, read(name) if preparation.learns else ())
                try:
                    learned = _learn(preparation, blocks, whole=whole)
                except ColumnCellError:
                    raise
                except CellError as error:
                    kind = preparation.kind
                    raise ColumnCellError(name, kind, error.row, error.detail) from None
                except InvalidError as error:
                    message = f"column {name!r}, {preparation.kind}: {error.detail}"
                    raise InvalidError(message) from None
                steps.append(Step(name, preparation, learned))
        return cls(tuple(steps))

    def apply(self, cells: dict[str, Cells]) -> None:
        """Prepare the cells of all columns, in place. Raises ColumnCellError."""
        for step in self.steps:
            cells[step.column] = _apply(step, cells[step.column])

    def prepare(self, name: str, blocks: Iterable[Cells]) -> Iterator[Cells]:
        """The blocks of one column, prepared.

        Raises ColumnCellError with the row counted over all blocks.
        """
        steps, rows = [step for step in self.steps if step.column == name], 0
        for block in blocks:
            cells = block
            for step in steps:
                cells = _apply(step, cells, rows)
            yield cells
            rows += len(block)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The learned arrays, named for a safetensors file."""
        return {
            f"prepare.{index}.{name}": array
            for index, step in enumerate(self.steps)
            for name, array in step.learned.arrays.items()
        }

    def dumps(self) -> str:
        """Everything but the arrays, as JSON."""
        return json.dumps(
            [
                {
                    "column": step.column,
                    "step": _document(step.preparation),
                    "words": step.learned.words,
                }
                for step in self.steps
            ]
        )

    @classmethod
    def loads(cls, document: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The pipeline that `dumps` and `arrays` wrote."""
        steps = []
        for index, entry in enumerate(json.loads(document)):
            start = f"prepare.{index}."
            own = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            learned = Learned(own, tuple(entry["words"]))
            steps.append(Step(entry["column"], _ADAPTER.validate_python(entry["step"]), learned))
        return cls(tuple(steps))


@dataclass(frozen=True)
class Standardizer:
    """Shift and scale so that the training rows have mean 0 and standard deviation 1.

    `mean` and `scale` are float64, one number for each feature: the shape of a row, or (channels,)
    for images (height, width, channel). A feature that never varies is only shifted.
    """

    FEATURES: ClassVar[str] = "standardize"
    TARGETS: ClassVar[str] = "target"

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, x: Floats) -> Self:
        """Learn from `x` (rows, ...), the training rows and no others.

        Raises InvalidError when there are no rows.
        """
        if len(x) == 0:
            raise InvalidError("no rows to learn the preparation from")
        axes = _averaged_axes(x)
        mean = np.asarray(x.mean(axis=axes, dtype=np.float64))
        squares = sum(np.square(block - mean).sum(axis=axes) for block in _blocks(x))
        deviation = np.sqrt(squares * (mean.size / x.size))
        return cls(mean, divisor(mean, deviation, x.size // mean.size))

    @classmethod
    def fit_blocks(cls, blocks: Iterable[Floats]) -> Self:
        """As `fit`, from rows that arrive in blocks; the last digits may differ from `fit`."""
        moments = Moments()
        for x in blocks:
            moments.add(x, _averaged_axes(x))
        if not moments.count:
            raise InvalidError("no rows to learn the preparation from")
        return cls(moments.mean, divisor(moments.mean, moments.deviation, moments.count))

    def without(self, finished: NDArray[np.bool_]) -> Self:
        """A standardizer that leaves alone the features for which `finished` is true."""
        skipped = (
            finished.reshape(self.mean.shape) if self.mean.size == finished.size else finished.all()
        )
        return type(self)(np.where(skipped, 0.0, self.mean), np.where(skipped, 1.0, self.scale))

    def unresolved(self, dtype: DTypeLike) -> NDArray[np.bool_]:
        """For each feature, whether its mean costs the deviation half the digits of `dtype`.

        Numbers of `dtype` around such a mean are rounded too coarsely to learn from: seconds since
        1970 are multiples of 128 in float32.
        """
        most = 1 / np.sqrt(np.finfo(dtype).eps)
        return np.asarray(np.abs(self.mean) > most * self.scale).ravel()

    def laid_out(self, row: Shape, shape: Shape) -> Self:
        """The same for rows of shape `row` that are reshaped to `shape`, with a number for each."""
        mean, scale = (np.broadcast_to(a, row).reshape(shape) for a in (self.mean, self.scale))
        return type(self)(mean, scale)

    def apply(self, x: Floats, dtype: DTypeLike | None = None) -> Floats:
        """The rows shifted and scaled, as `dtype`; by default in the float type they came in."""
        out = np.empty(x.shape, dtype or x.dtype)
        for block, target in zip(_blocks(x), _blocks(out), strict=True):
            target[...] = (block - self.mean) / self.scale
        return out

    def on(self, xp: Any) -> Self:
        """The same with arrays of the array library `xp`."""
        return type(self)(xp.asarray(self.mean), xp.asarray(self.scale))

    def invert(self, x: Floats) -> Floats:
        """The numbers that `apply` shifted and scaled, as float64; `x` may have leading axes."""
        return x * self.scale + self.mean

    def arrays(self, name: str = FEATURES) -> dict[str, NDArray[np.float64]]:
        """The learned arrays, named for a safetensors file."""
        return {f"{name}.mean": self.mean, f"{name}.scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], name: str = FEATURES) -> Self | None:
        """The standardizer that `arrays` of this name wrote, or None when there is none."""
        learned = [arrays.get(f"{name}.{part}") for part in ("mean", "scale")]
        if learned[0] is None:
            return None
        return cls(*(np.asarray(array, np.float64) for array in learned))


def _document(preparation: Preparation) -> dict[str, Any]:
    """A step as JSON; fields that older releases do not know are left out if they are not used."""
    document: dict[str, Any] = _ADAPTER.dump_python(preparation, mode="json")
    for name in unused_additions(preparation):
        del document[name]
    return document


def _learn(preparation: Preparation, blocks: Iterator[Cells], *, whole: bool) -> Learned:
    if not preparation.learns:
        return preparation.learn(np.empty(0))
    if whole:
        return preparation.learn(np.concatenate(list(blocks)))
    return preparation.learn_blocks(blocks)


def _apply(step: Step, cells: Cells, before: int = 0) -> Cells:
    """The cells after one step. `before` rows precede them in the numbering of errors."""
    try:
        return step.preparation.apply(cells, step.learned)
    except CellError as error:
        kind = step.preparation.kind
        raise ColumnCellError(step.column, kind, before + error.row, error.detail) from None


def _averaged_axes(x: Floats) -> tuple[int, ...]:
    """The axes that share a mean: rows, and the pixels of images with channels."""
    return tuple(range(x.ndim - 1)) if x.ndim >= 4 else (0,)


def _blocks(x: Floats) -> Iterator[Floats]:
    """Views of some rows each, with about BLOCK_NUMBERS numbers."""
    rows = max(1, BLOCK_NUMBERS * len(x) // max(1, x.size))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]


_ADAPTER: TypeAdapter[Preparation] = TypeAdapter(Preparation)
