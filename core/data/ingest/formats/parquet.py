"""Parquet: typed columns, read a bounded number of rows at a time."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from core.data.ingest.format import Format, check_names, rows_at_once
from core.data.ingest.limits import Limits
from core.errors import InvalidError, TooLargeError
from core.family import member

LONGEST_FOOTER = 64 * 2**20


@member
class Parquet(Format):
    """Apache Parquet, any compression PyArrow reads."""

    kind: Literal["parquet"] = "parquet"
    title: ClassVar[str] = "Parquet"
    content_types: ClassVar[tuple[str, ...]] = (
        "application/vnd.apache.parquet",
        "application/parquet",
        "application/x-parquet",
    )
    endings: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    magic: ClassVar[tuple[bytes, ...]] = (b"PAR1",)

    def read(self, source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
        """See Format.read. Sizes in the footer are checked before rows are decoded."""
        try:
            yield from self._batches(source, limits)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, MemoryError):
                raise
            raise InvalidError(f"the file is not whole Parquet: {_first_line(error)}") from error

    def _batches(self, source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
        """Open the file, check the footer and decode the rows."""
        with pq.ParquetFile(
            source,
            thrift_string_size_limit=LONGEST_FOOTER,
            thrift_container_size_limit=2**20,
            pre_buffer=False,
            buffer_size=2**20,
        ) as file:
            schema, footer = file.schema_arrow, file.metadata
            check_names(schema.names, limits)
            if footer.num_rows > limits.max_rows:
                raise TooLargeError(f"{footer.num_rows:,} rows; at most {limits.max_rows:,}")
            row_bytes = sum(_width(field.type) for field in schema)
            limits.check_grown(footer.num_rows * row_bytes, source.stat().st_size)
            yield from file.iter_batches(batch_size=rows_at_once(row_bytes), use_threads=False)

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, bytes]]:
        """A file with every kind of column that is accepted."""
        table = pa.table(
            {
                "number": pa.array([1.5, None, 3.0]),
                "small": pa.array([1, 2, 3], pa.uint8()),
                "flag": pa.array([True, False, True]),
                "label": pa.array(["a", "b", "a"]).dictionary_encode(),
                "image": pa.array([[[1, 2], [3, 4]]] * 3, pa.list_(pa.list_(pa.float32()))),
            }
        )
        for compression in ("none", "zstd"):
            sink = io.BytesIO()
            pq.write_table(table, sink, compression=compression)
            yield cls(), sink.getvalue()


def _width(kind: pa.DataType) -> int:
    """The least bytes of one value: 1, or 4 for an offset of text."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return 1
    if pa.types.is_primitive(kind):
        return int(kind.bit_width) // 8
    return 4


def _first_line(error: BaseException) -> str:
    """The first line of the library's message."""
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
