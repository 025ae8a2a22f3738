"""Write tables as files for other programs."""

from pathlib import Path
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from core.data.table.tensors import shape_of
from core.errors import FieldError, InvalidError

FileKind: TypeAlias = Literal["parquet", "csv", "arrow"]

MEDIA_TYPES: dict[FileKind, str] = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.file",
}


def write(table: pa.Table, path: Path, kind: FileKind) -> None:
    """Write the rows of `table` to `path`. Raises InvalidError for columns that CSV cannot hold."""
    if kind == "parquet":
        pyarrow.parquet.write_table(table, path)
    elif kind == "arrow":
        pyarrow.feather.write_feather(table, path, compression="uncompressed")
    else:
        for field in table.schema:
            if shape_of(field):
                message = f"column {field.name!r} holds arrays, which CSV cannot: take parquet"
                raise InvalidError(message, [FieldError("query.format", message)])
        pyarrow.csv.write_csv(table, path)
