"""The record batches of a dataset version on this machine, as one table, memory-mapped."""

from pathlib import Path

import pyarrow as pa

from core.data.table.chunks import SUFFIX, Chunk, Manifest, batch_of
from core.errors import InvalidError, NotFoundError


def table(path: Path) -> pa.Table:
    """All rows of the canonical file or manifest at `path`; nothing is copied.

    Raises NotFoundError when there is no such file, InvalidError when it is not whole.
    """
    if not path.exists():
        raise NotFoundError(f"there is no dataset file {path.name}")
    return _of_chunks(path) if path.suffix == SUFFIX else _of_file(path)


def _of_file(path: Path) -> pa.Table:
    try:
        with pa.memory_map(str(path), "r") as source:
            return pa.ipc.open_file(source).read_all()
    except pa.ArrowInvalid as error:
        raise InvalidError(f"{path.name} is not a whole Arrow file: {error}") from error


def _of_chunks(path: Path) -> pa.Table:
    """The chunks lie in the cache whose manifest this is."""
    manifest = Manifest.loads(path.read_bytes())
    schema = manifest.schema
    batches = [batch(path.parent.parent / "objects", one, schema) for one in manifest.chunks]
    return pa.Table.from_batches(batches, schema)


def batch(objects: Path, chunk: Chunk, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a chunk that lies below `objects`, memory-mapped."""
    try:
        with pa.memory_map(str(objects / chunk.digest[:2] / chunk.digest), "r") as source:
            return batch_of(source.read_buffer(), schema)
    except FileNotFoundError as error:
        raise NotFoundError(f"a chunk of dataset {chunk.digest[:12]} is not here") from error
