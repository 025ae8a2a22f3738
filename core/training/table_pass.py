"""Take a trained model over a table of raw rows, a stretch at a time: larger than memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from core.data.prepare.lazy_features import elsewhere
from core.errors import InvalidError
from core.nn.array import Array
from core.training.model import TrainedModel

MOST_ROWS = 2**16
MOST_NUMBERS = 2**22
"""Rows, and features of all of them, that are in memory at once."""


@dataclass(frozen=True)
class Stretch:
    """Rows `first` and following of a table; what the network gives out and predicts for them."""

    first: int
    table: pa.Table
    raw: Array
    outputs: Array

    def __len__(self) -> int:
        return int(self.table.num_rows)


def stretches(model: TrainedModel, table: pa.Table) -> Iterator[Stretch]:
    """All rows in order; columns are named as those it learned from.

    Raises InvalidError naming a column that is missing or does not fit, and when there is no row.
    """
    if not table.num_rows:
        raise InvalidError("the dataset version has no rows")
    size = max(1, min(MOST_ROWS, MOST_NUMBERS // max(1, model.width)))
    for first in range(0, table.num_rows, size):
        part = table.slice(first, size)
        with located(first):
            raw, outputs = model.raw_outputs(model.table_to_array(part))
        yield Stretch(first, part, raw, outputs)


@contextmanager
def located(first: int) -> Iterator[None]:
    """Errors of rows counted from row `first` on say so."""
    try:
        yield
    except InvalidError as error:
        raise elsewhere(error, first) from None
