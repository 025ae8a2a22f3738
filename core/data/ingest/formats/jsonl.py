"""JSON lines: one object per line, with the columns as keys."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.json as pajson

from core.data.ingest.format import Format, check_names
from core.data.ingest.inflate import plain
from core.data.ingest.limits import Limits
from core.data.ingest.textscan import MAX_LINE_BYTES, scan
from core.errors import InvalidError
from core.family import member

BLOCK_BYTES = 8 * 2**20
ROW = re.compile(r"\s*in row (\d+)")


@member
class Jsonl(Format):
    """Objects of numbers, booleans, text and (nested) lists of numbers; plain, gzip or Zstandard.

    A key that a line lacks is a missing value. Lists of one shape become tensors.
    """

    kind: Literal["jsonl"] = "jsonl"
    charset: Literal["utf-8", "UTF-8", "utf8"] = "utf-8"
    title: ClassVar[str] = "JSON lines"
    content_types: ClassVar[tuple[str, ...]] = (
        "application/jsonl",
        "application/x-ndjson",
        "application/x-jsonlines",
        "application/json",
    )
    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")

    def read(self, source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
        """See Format.read. Three passes: bytes, types, values; memory stays bounded."""
        seen = scan(source, limits)
        if seen.head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            raise InvalidError(
                "the file is one JSON array: write one object a line (`jq -c '.[]'` does)"
            )
        schema = None
        for row, table in self._tables(source, None):
            schema = _unified(schema, _texts(table.schema), row)
        if schema is None:
            raise InvalidError("there are no rows")
        check_names(schema.names, limits)
        for _, table in self._tables(source, schema):
            yield from table.select(schema.names).to_batches()

    def _tables(self, source: Path, schema: pa.Schema | None) -> Iterator[tuple[int, pa.Table]]:
        """Some lines at a time as a table, with the number of rows before it."""
        row = 0
        for block in _blocks(source):
            try:
                table = pajson.read_json(
                    pa.BufferReader(block),
                    read_options=pajson.ReadOptions(use_threads=False, block_size=len(block) + 1),
                    parse_options=pajson.ParseOptions(explicit_schema=schema),
                )
            except pa.ArrowInvalid as error:
                raise _explained(error, row) from error
            yield row, table
            row += table.num_rows

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, bytes]]:
        """Every kind of value, keys in another order, missing ones, and gzip."""
        lines = (
            b'{"x": 1, "y": 2.5, "flag": true, "label": "a", "v": [[1, 2], [3, 4]]}\n'
            b'{"y": 3, "x": 2, "flag": null, "label": "2026-01-02", "v": [[1, 2], [3, 4.5]]}\n\n'
            b'{"x": 3, "label": "c", "v": [[1, 2], [3, 4]]}'
        )
        yield cls(), lines
        yield cls(), gzip.compress(lines, mtime=0)


def _blocks(source: Path) -> Iterator[bytes]:
    """The bytes in blocks of whole lines, without blocks that hold no object."""
    with plain(source) as stream:
        rest = stream.read(3).removeprefix(b"\xef\xbb\xbf")
        while piece := stream.read(BLOCK_BYTES):
            whole, newline, rest = (rest + piece).rpartition(b"\n")
            if whole.strip():
                yield whole + newline
        if rest.strip():
            yield rest


def _texts(schema: pa.Schema) -> pa.Schema:
    """The schema with times as text: only some values of a column may look like times."""
    for place, field in enumerate(schema):
        if pa.types.is_temporal(field.type):
            schema = schema.set(place, field.with_type(pa.string()))
    return schema


def _unified(before: pa.Schema | None, now: pa.Schema, row: int) -> pa.Schema:
    """A schema that holds the values of both."""
    if before is None:
        return now
    try:
        return pa.unify_schemas([before, now], promote_options="permissive")
    except pa.ArrowException as error:
        for field in now:
            place = before.get_field_index(field.name)
            if place >= 0 and before.field(place).type != field.type:
                raise InvalidError(
                    f"column {field.name!r} is {before.field(place).type} at first and "
                    f"{field.type} somewhere after row {row}"
                ) from error
        raise InvalidError(f"the rows after {row} have other types than those before") from error


def _explained(error: pa.ArrowInvalid, row: int) -> InvalidError:
    """An error of PyArrow as ours, with the number of the row in the file, from 1."""
    text = str(error).splitlines()[0].removeprefix("JSON parse error: ")
    if match := ROW.search(text):
        return InvalidError(f"row {row + int(match[1]) + 1}: {ROW.sub('', text)[:300]}")
    if "straddl" in text:
        return InvalidError(f"a line after row {row} is longer than {MAX_LINE_BYTES:,} bytes")
    return InvalidError(f"after row {row}: {text[:300]}")
