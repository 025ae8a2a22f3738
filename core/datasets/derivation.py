"""Derivation of a dataset from the rows of a version that a query selects."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.data.ingest import canonical
from core.data.ingest.column_checks import check_columns
from core.data.ingest.format import rows_at_once
from core.data.ingest.formats import texts
from core.data.ingest.limits import Limits
from core.data.ingest.parser import ParsedDataset
from core.data.ingest.profile import describe
from core.data.table.query import Query
from core.data.table.reader import TableReader
from core.data.table.row_filter import select
from core.data.table.schema import listed
from core.errors import InvalidError

FORMAT = "query"


def derive(
    source: Path,
    query: Query,
    columns: Sequence[str],
    target: Path,
    options: Mapping[str, str] | None = None,
) -> ParsedDataset:
    """Write the rows of the version at `source` that `query` selects to a canonical file.

    `columns` are the columns to keep, in order; all if empty. `options` are the parse options of
    the version. The columns that the query reads are
    in memory, of the others a few rows at a time. Raises InvalidError for an unknown column, and
    if no row is selected.
    """
    reader = TableReader(source)
    names = tuple(columns) or tuple(reader.schema.names)
    for name in (*names, *query.columns):
        if name not in reader.schema.names:
            known = listed(tuple(reader.schema.names))
            raise InvalidError(f"there is no column {name!r}; the columns are {known}")
    selected = np.arange(len(reader))
    if query != Query(seed=query.seed):
        read = query.columns or reader.schema.names[:1]
        selected = select(query, reader.columns(read))
    if not len(selected):
        raise InvalidError("no row of the dataset meets the query")
    canonical.write(_batches(reader, selected, names), target, Limits())
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    schema, options = describe(target), dict(options or {})
    warnings = check_columns(target, schema, texts(options))
    size = target.stat().st_size
    return ParsedDataset(target, FORMAT, schema, digest, size, options, warnings)


def _batches(
    reader: TableReader, selected: np.ndarray, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    row_bytes = sum(getattr(f.type, "list_size", 1) * 8 for f in reader.schema)
    step = rows_at_once(row_bytes)
    for start in range(0, len(selected), step):
        table = reader.rows(selected[start : start + step], list(names))
        yield from table.combine_chunks().to_batches()
