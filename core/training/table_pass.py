"""Run a trained model over a table of raw rows, a slice at a time: the table may exceed memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from core.data.prepare.features import counted_from
from core.errors import InvalidError
from core.nn.array import Array
from core.training.model import TrainedModel

MOST_ROWS = 2**16
MOST_NUMBERS = 2**22
"""Rows, and features of all of them, that are in memory at once."""


@dataclass(frozen=True)
class Slice:
    """The rows of a table from row `first` on, and the model's raw outputs and predictions."""

    first: int
    table: pa.Table
    raw: Array
    outputs: Array

    def __len__(self) -> int:
        return int(self.table.num_rows)


def slices_of(model: TrainedModel, table: pa.Table) -> Iterator[Slice]:
    """All rows in order; the table has the feature columns of the model.

    Raises InvalidError naming a column that is missing or does not fit, and for an empty table.
    """
    if not table.num_rows:
        raise InvalidError("the dataset version has no rows")
    size = max(1, min(MOST_ROWS, MOST_NUMBERS // max(1, model.width)))
    for first in range(0, table.num_rows, size):
        rows = table.slice(first, size)
        with rows_counted_from(first):
            raw, outputs = model.raw_outputs(model.table_to_array(rows))
        yield Slice(first, rows, raw, outputs)


@contextmanager
def rows_counted_from(first: int) -> Iterator[None]:
    """Let errors about rows of a slice say that they count from row `first` of the table."""
    try:
        yield
    except InvalidError as error:
        raise counted_from(error, first) from None
