"""The one form in which a dataset version is stored: an uncompressed, memory-mappable Arrow file.

Equal content gives equal bytes, whatever the format of the upload and the batches of its reader. So
the digest of the file is a digest of the content.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.data.ingest.format import check_names, rows_at_once
from core.data.ingest.limits import Limits
from core.data.table.tensors import one_array, shape_of, tensor_field, unnested
from core.errors import InvalidError, TooLargeError

FORMAT = {b"chainrule.format": b"1"}
TEXT_BYTES = 16


def write(batches: Iterator[pa.RecordBatch], target: Path, limits: Limits) -> None:
    """Write the rows of `batches` to a new file at `target`.

    Raises InvalidError when there are no rows, and naming a column without a canonical form, with
    the row where known. Raises TooLargeError beyond a limit.
    """
    first = next((batch for batch in batches if batch.num_rows), None)
    if first is None:
        raise InvalidError("there are no rows")
    check_names(first.schema.names, limits)
    start = _canonical(first, None, 0)
    schema, at_once = start.schema, _batch_rows(start.schema)
    options = pa.ipc.IpcWriteOptions(compression=None)
    with (
        pa.OSFile(str(target), "wb") as sink,
        pa.ipc.new_file(sink, schema, options=options) as writer,
    ):
        waiting, held, written = [start], start.num_rows, 0
        for batch in batches:
            waiting.append(_canonical(batch, schema, written + held))
            held += batch.num_rows
            if held >= at_once:
                waiting, written = _flush(waiting, writer, at_once, written)
                held = sum(part.num_rows for part in waiting)
                if written + held > limits.max_rows or sink.tell() > limits.max_bytes:
                    raise TooLargeError(f"more than {written:,} rows are too large for one dataset")
        waiting, written = _flush(waiting, writer, at_once, written)
        for rest in waiting:
            writer.write_batch(rest)


def _batch_rows(schema: pa.Schema) -> int:
    """Rows of a stored batch: a function of the schema alone."""
    return rows_at_once(sum(_width(field.type) for field in schema))


def _width(kind: pa.DataType) -> int:
    """The approximate bytes of a value of a column."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    return TEXT_BYTES if pa.types.is_string(kind) else max(1, int(kind.bit_width) // 8)


def _flush(
    waiting: list[pa.RecordBatch], writer: pa.ipc.RecordBatchFileWriter, at_once: int, written: int
) -> tuple[list[pa.RecordBatch], int]:
    """Write all complete batches. Returns the remaining rows, and the number of rows written."""
    whole = pa.Table.from_batches(waiting).combine_chunks()
    full = whole.num_rows // at_once * at_once
    for start in range(0, full, at_once):
        writer.write_batch(_tidy(whole.slice(start, at_once)))
    rest = whole.slice(full)
    left = [_tidy(rest)] if rest.num_rows else []
    return left, written + full


def _tidy(table: pa.Table) -> pa.RecordBatch:
    """One batch whose buffers hold only its rows, with zeros under missing values."""
    columns = [_tidy_array(one_array(column)) for column in table.columns]
    return pa.record_batch(columns, schema=table.schema)


def _tidy_array(column: pa.Array) -> pa.Array:
    """The array without an offset, and with a validity bitmap only if values are missing."""
    if pa.types.is_fixed_size_list(column.type):
        flat = _tidy_array(column.flatten())
        return pa.FixedSizeListArray.from_arrays(flat, type=column.type)
    if pa.types.is_string(column.type):
        return pa.array(column.to_pylist(), pa.string()) if column.null_count else column
    if not column.null_count:
        return pa.array(column.to_numpy(zero_copy_only=False), column.type)
    missing = column.is_null().to_numpy(zero_copy_only=False)
    zero = pa.scalar(False) if pa.types.is_boolean(column.type) else pa.scalar(0).cast(column.type)
    values = pc.fill_null(column, zero).to_numpy(zero_copy_only=False)
    return pa.array(np.asarray(values), column.type, mask=missing)


def _canonical(batch: pa.RecordBatch, schema: pa.Schema | None, row: int) -> pa.RecordBatch:
    """The batch in canonical types; `schema` must match if given. `row` rows precede it."""
    fields, columns = [], []
    for place, given in enumerate(batch.schema):
        column = _plain(batch.column(place), given)
        shape: tuple[int, ...] = ()
        if pa.types.is_nested(column.type):
            column, shape = unnested(column, given, row)
        field = tensor_field(given.name, column.type, shape)
        if schema is not None and not schema.field(place).equals(field, check_metadata=True):
            raise InvalidError(
                f"column {given.name!r}: cells of shape {shape_of(schema.field(place))} before row "
                f"{row + 1} and of shape {shape} after it"
            )
        if shape:
            column = pa.FixedSizeListArray.from_arrays(column, type=field.type)
        fields.append(field)
        columns.append(column)
    return pa.record_batch(columns, schema=schema or pa.schema(fields, metadata=FORMAT))


def _plain(column: pa.Array, field: pa.Field) -> pa.Array:
    """The column with values of a type that is stored; nested types are left unchanged."""
    if isinstance(column.type, pa.ExtensionType) or pa.types.is_dictionary(column.type):
        storage = column.storage if isinstance(column.type, pa.ExtensionType) else None
        plain = storage if storage is not None else column.dictionary_decode()
        return _plain(plain, field)
    kind = column.type
    try:
        if pa.types.is_null(kind) or pa.types.is_decimal(kind):
            return column.cast(pa.float64())
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return column.cast(pa.string())
        if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
            return column.cast(pa.string())
    except pa.ArrowException as error:
        raise InvalidError(f"column {field.name!r} of type {kind} cannot be stored") from error
    stored = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_string)
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if any(test(kind) for test in stored + lists):
        return column
    raise InvalidError(
        f"column {field.name!r} is of type {kind}: numbers, booleans, text and "
        "arrays of numbers can be stored"
    )
