"""Steps of preparation in a row: planned by arithmetic, learned from training rows, kept, applied.

What the exporter of a model needs is `Pipeline.steps`: for each column its steps in order, with
what each learned.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

import core.data.prepare.steps  # noqa: F401  (the members register themselves)
from core.data.prepare.preparation import CellError, Cells, Feature, Learned, Preparation
from core.data.table.schema import listed
from core.errors import FieldError, InvalidError


@dataclass(frozen=True)
class Step:
    """One step on one column, and what it learned there."""

    column: str
    preparation: Preparation
    learned: Learned


@dataclass(frozen=True)
class Plan:
    """Which columns each step is applied to, and the columns as the last one leaves them."""

    chosen: tuple[tuple[str, ...], ...]
    features: tuple[Feature, ...]


def plan(preparations: Sequence[Preparation], features: Sequence[Feature]) -> Plan:
    """Where each step goes.

    Raises InvalidError with the path of a step that names a column which is no feature, or one
    that it cannot be applied to.
    """
    now = {feature.name: feature for feature in features}
    chosen: list[tuple[str, ...]] = []
    for index, one in enumerate(preparations):
        for place, name in enumerate(one.columns):
            _check(one, name, now, f"data.prepare[{index}].columns[{place}]")
        names = tuple(dict.fromkeys(one.columns)) or tuple(
            name for name, feature in now.items() if one.fits(feature) and not feature.done
        )
        for name in names:
            now[name] = one.after(now[name])
        chosen.append(names)
    return Plan(tuple(chosen), tuple(now.values()))


def objections(
    preparations: Sequence[Preparation], features: Sequence[Feature]
) -> list[FieldError]:
    """What is known of the columns' content and forbids a step that `plan` would apply."""
    now = {feature.name: feature for feature in features}
    found = []
    for index, (one, names) in enumerate(
        zip(preparations, plan(preparations, features).chosen, strict=True)
    ):
        for name in names:
            reason = one.objection(now[name])
            if reason is not None:
                found.append(FieldError(f"data.prepare[{index}]", f"column {name!r} {reason}"))
            now[name] = one.after(now[name])
    return found


def _check(one: Preparation, name: str, now: Mapping[str, Feature], path: str) -> None:
    if name not in now:
        message = f"{name!r} is not a feature; the features are {listed(tuple(now))}"
    elif not one.fits(now[name]):
        feature = now[name]
        what = "text" if feature.text else "numbers"
        if feature.shape:
            what = f"arrays of shape {feature.shape}"
        message = f"{one.kind} does not take column {name!r}, which holds {what} at this step"
    else:
        return
    raise InvalidError(f"{path}: {message}", [FieldError(path, message)])


@dataclass(frozen=True)
class Pipeline:
    """The steps of each column in order, learned."""

    steps: tuple[Step, ...] = ()

    @classmethod
    def fit(
        cls,
        preparations: Sequence[Preparation],
        features: Sequence[Feature],
        cells: dict[str, Cells],
        training: NDArray[np.int64],
    ) -> Self:
        """Learn from the rows `training` of the cells; all rows in `cells` become prepared.

        Raises InvalidError naming column and row when a cell cannot be prepared.
        """
        steps = []
        chosen = plan(preparations, features).chosen
        for one, names in zip(preparations, chosen, strict=True):
            for name in names:
                try:
                    learned = one.learn(cells[name][training])
                except CellError as error:
                    row = int(training[error.row])
                    raise _at_row(name, row, one, error.detail) from None
                except InvalidError as error:
                    raise InvalidError(f"column {name!r}, {one.kind}: {error.detail}") from None
                step = Step(name, one, learned)
                steps.append(step)
                try:
                    cells[name] = one.apply(cells[name], learned)
                except CellError as error:
                    raise _at_row(name, error.row, one, error.detail) from None
        return cls(tuple(steps))

    @classmethod
    def fit_blocks(
        cls,
        preparations: Sequence[Preparation],
        features: Sequence[Feature],
        read: Callable[[str], Iterable[Cells]],
        training: NDArray[np.int64],
    ) -> Self:
        """As `fit`, without having all cells: `read` gives a column's training cells in blocks.

        Each call reads them anew. `training` are the numbers of their rows.
        """
        steps: list[Step] = []
        chosen = plan(preparations, features).chosen
        for one, names in zip(preparations, chosen, strict=True):
            for name in names:
                before = [step for step in steps if step.column == name]
                try:
                    if one.learns:
                        learned = one.learn_blocks(cls(tuple(before)).column(name, read(name)))
                    else:
                        learned = one.learn(np.empty(0))
                except CellError as error:
                    row = int(training[error.row])
                    raise _at_row(name, row, one, error.detail) from None
                except InvalidError as error:
                    raise InvalidError(f"column {name!r}, {one.kind}: {error.detail}") from None
                steps.append(Step(name, one, learned))
        return cls(tuple(steps))

    def apply(self, cells: dict[str, Cells]) -> None:
        """Prepare the cells of every column. Raises ColumnCellError."""
        for step in self.steps:
            try:
                cells[step.column] = step.preparation.apply(cells[step.column], step.learned)
            except CellError as error:
                raise ColumnCellError(step.column, error.row, error.detail) from None

    def column(self, name: str, blocks: Iterable[Cells]) -> Iterator[Cells]:
        """The blocks of a column prepared. Raises CellError with the row among all of them."""
        steps, rows = [step for step in self.steps if step.column == name], 0
        for cells in blocks:
            now = cells
            try:
                for step in steps:
                    now = step.preparation.apply(now, step.learned)
            except CellError as error:
                raise CellError(rows + error.row, error.detail) from None
            yield now
            rows += len(cells)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned, named for a safetensors file."""
        return {
            f"prepare.{index}.{name}": array
            for index, step in enumerate(self.steps)
            for name, array in step.learned.arrays.items()
        }

    def dumps(self) -> str:
        """All but the arrays, as JSON."""
        return json.dumps(
            [
                {
                    "column": step.column,
                    "step": _ADAPTER.dump_python(step.preparation, mode="json"),
                    "words": step.learned.words,
                }
                for step in self.steps
            ]
        )

    @classmethod
    def loads(cls, document: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What `dumps` and `arrays` wrote."""
        steps = []
        for index, one in enumerate(json.loads(document)):
            start = f"prepare.{index}."
            own = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            learned = Learned(own, tuple(one["words"]))
            steps.append(Step(one["column"], _ADAPTER.validate_python(one["step"]), learned))
        return cls(tuple(steps))


class ColumnCellError(CellError):
    """A cell of one column that cannot be prepared."""

    def __init__(self, column: str, row: int, message: str) -> None:
        super().__init__(row, message)
        self.column = column


def _at_row(name: str, row: int, one: Preparation, reason: str) -> InvalidError:
    return InvalidError(f"column {name!r}, row {row + 1}, {one.kind}: {reason}")


_ADAPTER: TypeAdapter[Preparation] = TypeAdapter(Preparation)
