"""Let a trained model answer for all rows of a table, into a file that may outgrow memory."""

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
from core.training.table_pass import Stretch, located, stretches


def score(model: TrainedModel, table: pa.Table, spec: ScoringSpec, folder: Path) -> Iterator[Event]:
    """Write `predictions.parquet` or `.csv` in `folder`, a stretch at a time; last a ScoringEnded.

    A row of it has `row` (its number in the table, from 0), the columns to keep, `prediction`, and
    with probabilities `probability_<label>`, with an interval `interval_low` and `interval_high`;
    with several targets `prediction_<target>`, `probability_<target>_<label>`,
    `interval_low_<target>`. Raises InvalidError naming a column that does not fit.
    """
    path = folder / f"predictions.{spec.format}"
    step = rows = 0
    with _File(path, spec.format) as file:
        for step, stretch in enumerate(stretches(model, table), 1):
            with located(stretch.first):
                file.write(_answered(model, stretch, spec))
            rows += len(stretch)
            yield RowsPassed(step, 0, rows=rows, rows_total=table.num_rows)
    yield ScoringEnded(step, 0, rows=rows, path=str(path), columns=file.columns)


class _File:
    """A Parquet or CSV file that is written table by table; all have the columns of the first."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._writer: Any = None
        self._schema: pa.Schema | None = None

    @property
    def columns(self) -> list[str]:
        """Their names, once something is written."""
        return [] if self._schema is None else list(self._schema.names)

    def write(self, columns: Mapping[str, Any]) -> None:
        """Write rows: arrays or lists by column."""
        table = pa.table(dict(columns), schema=self._schema)
        if self._writer is None:
            self._schema = table.schema
            self._writer = self._opened(table.schema)
        self._writer.write_table(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def _opened(self, schema: pa.Schema) -> Any:
        if self._kind == "parquet":
            return pyarrow.parquet.ParquetWriter(self._path, schema)
        for field in schema:
            if shape_of(field) or pa.types.is_list(field.type):
                message = f"column {field.name!r} holds arrays, which CSV cannot: take parquet"
                raise InvalidError(message, [FieldError("format", message)])
        return pyarrow.csv.CSVWriter(self._path, schema)


def _answered(model: TrainedModel, stretch: Stretch, spec: ScoringSpec) -> dict[str, Any]:
    """The columns of the file for some rows."""
    found: dict[str, Any] = {ROW: np.arange(stretch.first, stretch.first + len(stretch))}
    found |= {name: stretch.table.column(name).combine_chunks() for name in spec.keep}
    found |= _by_target(PREDICTION, model.answers(stretch.outputs))
    if spec.probabilities:
        found |= _chances(model.chances(stretch.outputs))
    if spec.interval is not None:
        ends = _columns(model.intervals(stretch.outputs, spec.interval))
        for end, column in ends.items():
            found |= _by_target(f"{INTERVAL}{end}", column)
    return found


def _by_target(name: str, answers: list[Any]) -> dict[str, list[Any]]:
    """A column of that name; where answers are of several targets, one for each of those."""
    if not isinstance(answers[0], dict):
        return {name: answers}
    return {f"{name}_{target}": column for target, column in _columns(answers).items()}


def _chances(rows: list[Any]) -> dict[str, list[Any]]:
    """A column for each label; where a row has labels of several targets, for each of those."""
    if not isinstance(rows[0], dict):
        return {PROBABILITY.rstrip("_"): rows}
    found: dict[str, list[Any]] = {}
    for name, column in _columns(rows).items():
        if isinstance(column[0], dict):
            labelled = _columns(column).items()
            found |= {f"{PROBABILITY}{name}_{label}": chance for label, chance in labelled}
        else:
            found[f"{PROBABILITY}{name}"] = column
    return found


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows with the same keys as a list for each key."""
    return {key: [row[key] for row in rows] for key in rows[0]}
