"""Derivation of a dataset from the rows of a version that a query selects."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.data.ingest import canonical
from core.data.ingest.format import rows_at_once
from core.data.ingest.limits import Limits
from core.data.ingest.parser import ParsedDataset
from core.data.ingest.profile import describe
from core.data.table.query import Query
from core.data.table.reader import Stretches
from core.data.table.row_filter import select
from core.data.table.schema import listed
from core.errors import InvalidError

FORMAT = "query"


def derive(source: Path, query: Query, columns: Sequence[str], target: Path) -> ParsedDataset:
    """Write the rows of the version at `source` that `query` selects to a canonical file.

    `columns` are the columns to keep, in order; all if empty. The columns that the query reads are
    in memory, of the others a few rows at a time. Raises InvalidError for an unknown column, and
    if no row is selected.
    """
    stretches = Stretches(source)
    names = tuple(columns) or tuple(stretches.schema.names)
    for name in (*names, *query.columns):
        if name not in stretches.schema.names:
            known = listed(tuple(stretches.schema.names))
            raise InvalidError(f"there is no column {name!r}; the columns are {known}")
    selected = np.arange(len(stretches))
    if query != Query(seed=query.seed):
        read = query.columns or stretches.schema.names[:1]
        selected = select(query, stretches.whole(read))
    if not len(selected):
        raise InvalidError("no row of the dataset meets the query")
    canonical.write(_batches(stretches, selected, names), target, Limits())
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ParsedDataset(target, FORMAT, describe(target), digest, target.stat().st_size)


def _batches(
    stretches: Stretches, selected: np.ndarray, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    row_bytes = sum(getattr(f.type, "list_size", 1) * 8 for f in stretches.schema)
    step = rows_at_once(row_bytes)
    for start in range(0, len(selected), step):
        table = stretches.rows(selected[start : start + step], list(names))
        yield from table.combine_chunks().to_batches()
