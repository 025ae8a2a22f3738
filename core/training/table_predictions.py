"""Write the predictions of a trained model for all rows of a table to a file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from core.data.table.tensors import shape_of
from core.errors import FieldError, InvalidError
from core.events import Event, RowsPassed, ScoringEnded
from core.spec.inference import INTERVAL, PREDICTION, PROBABILITY, ROW, ScoringSpec
from core.training.model import TrainedModel
from core.training.table_pass import Slice, rows_counted_from, slices_of


def score(model: TrainedModel, table: pa.Table, spec: ScoringSpec, folder: Path) -> Iterator[Event]:
    """Write `predictions.parquet` or `.csv` in `folder`; the last event is ScoringEnded.

    Each row has `row` (its number in the table, from 0), the columns to keep and `prediction`; with
    probabilities `probability_<label>`, with an interval `interval_low` and `interval_high`. With
    several targets the names are `prediction_<target>`, `probability_<target>_<label>`,
    `interval_low_<target>`. Raises InvalidError naming a column that does not fit.
    """
    path = folder / f"predictions.{spec.format}"
    step = rows = 0
    with _File(path, spec.format) as file:
        for step, added in enumerate(slices_of(model, table), 1):
            with rows_counted_from(added.first):
                file.write(_answers(model, added, spec))
            rows += len(added)
            yield RowsPassed(step, 0, rows=rows, rows_total=table.num_rows)
    yield ScoringEnded(step, 0, rows=rows, path=str(path), columns=file.columns)


class _File:
    """A Parquet or CSV file that is written table by table, all with the columns of the first."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns, once a table is written."""
        return [] if self._schema is None else list(self._schema.names)

    def write(self, columns: Mapping[str, Any]) -> None:
        """Write rows, given as arrays or lists by column."""
        table = pa.table(dict(columns), schema=self._schema)
        if self._writer is None:
            self._schema = table.schema
            self._writer = self._open(table.schema)
        self._writer.write_table(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def _open(self, schema: pa.Schema) -> Any:
        if self._kind == "parquet":
            return pyarrow.parquet.ParquetWriter(self._path, schema)
        for field in schema:
            if shape_of(field) or pa.types.is_list(field.type):
                message = f"column {field.name!r} holds arrays, which CSV cannot: take parquet"
                raise InvalidError(message, [FieldError("format", message)])
        return pyarrow.csv.CSVWriter(self._path, schema)


def _answers(model: TrainedModel, added: Slice, spec: ScoringSpec) -> dict[str, Any]:
    """The columns of the file for some rows."""
    columns: dict[str, Any] = {ROW: np.arange(added.first, added.first + len(added))}
    columns |= {name: added.table.column(name).combine_chunks() for name in spec.keep}
    columns |= _by_target(PREDICTION, model.answers(added.outputs))
    if spec.probabilities:
        columns |= _probabilities(model.class_probabilities(added.outputs))
    if spec.interval is not None:
        ends = _transposed(model.intervals(added.outputs, spec.interval))
        for end, column in ends.items():
            columns |= _by_target(f"{INTERVAL}{end}", column)
    return columns


def _by_target(name: str, answers: list[Any]) -> dict[str, list[Any]]:
    """A column with that name, or one for each target if answers have several."""
    if not isinstance(answers[0], dict):
        return {name: answers}
    return {f"{name}_{target}": column for target, column in _transposed(answers).items()}


def _probabilities(rows: list[Any]) -> dict[str, list[Any]]:
    """A column for each label, or for each label of each target if rows have several."""
    if not isinstance(rows[0], dict):
        return {PROBABILITY.rstrip("_"): rows}
    columns: dict[str, list[Any]] = {}
    for name, column in _transposed(rows).items():
        if isinstance(column[0], dict):
            by_label = _transposed(column).items()
            columns |= {f"{PROBABILITY}{name}_{label}": values for label, values in by_label}
        else:
            columns[f"{PROBABILITY}{name}"] = column
    return columns


def _transposed(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows with equal keys as a list for each key."""
    return {key: [row[key] for row in rows] for key in rows[0]}
