"""A dataset version as chunks: each record batch of its canonical file is kept once, by digest.

The canonical file is a head (the schema), record batches of a fixed number of rows, and a tail
(where they lie). A batch's bytes do not depend on where it stands, and how many rows it has on
the schema alone. So versions that begin with the same rows share all whole batches: adding 1 % of
the rows adds 1 % of the bytes and at most one batch, about 8 MB. A row put in at the front moves
all that follow, and shares nothing: the boundaries are fixed rows, not found in the content.

A manifest lists the chunks in order. Head, chunks and tail one after the other are the canonical
file again, byte for byte: its digest is the version's identity, with chunks as without.

Where most of a row is arrays (images), what is not (labels, groups) is kept a second time as
narrow chunks, some per cent of the bytes at most: rows can be split before the arrays are here.
"""

import base64
import hashlib
import json
import mmap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from core.data.tensors import shape_of
from core.errors import InvalidError

FORMAT = "chainrule.chunks.1"
SUFFIX = ".chunks"
START = 8
END = b"\xff\xff\xff\xff\0\0\0\0"
NARROW_SHARE = 20
"""Narrow chunks are kept where they are this many times smaller than the wide ones, or more."""


@dataclass(frozen=True)
class Chunk:
    """Bytes known by their SHA-256; they hold `rows` rows."""

    digest: str
    size: int
    rows: int


@dataclass(frozen=True)
class Manifest:
    """The chunks of one version, in order; `digest` and `size` are those of the canonical file."""

    digest: str
    size: int
    head: bytes
    tail: bytes
    chunks: tuple[Chunk, ...]
    narrow: tuple[Chunk, ...] = ()
    """Of each chunk only the columns that are no arrays; empty when that would save little."""

    @property
    def rows(self) -> int:
        """Rows of the version."""
        return sum(one.rows for one in self.chunks)

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return pa.ipc.read_schema(pa.py_buffer(self.head[START:]))

    @property
    def narrow_schema(self) -> pa.Schema:
        """The columns of narrow chunks."""
        return _narrowed(self.schema)

    def all(self) -> tuple[Chunk, ...]:
        """Every chunk that is kept for the version, each once."""
        return tuple(dict.fromkeys((*self.narrow, *self.chunks)))

    def dumps(self) -> bytes:
        """The manifest as bytes that carry their own digest."""
        document = asdict(self) | {
            "format": FORMAT,
            "head": base64.b64encode(self.head).decode(),
            "tail": base64.b64encode(self.tail).decode(),
        }
        text = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
        return hashlib.sha256(text).hexdigest().encode() + b"\n" + text

    @classmethod
    def loads(cls, content: bytes, digest: str | None = None) -> Self:
        """What `dumps` wrote, of the version `digest` if given. Raises InvalidError if it is not.

        Whoever has all the chunks can hold them against the version's own digest, see `digest_of`.
        """
        seal, _, text = content.partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != seal:
            raise InvalidError("the list of a dataset's chunks is damaged")
        document = json.loads(text)
        if document.pop("format", None) != FORMAT:
            raise InvalidError("the list of a dataset's chunks is of another format")
        if digest is not None and document["digest"] != digest:
            raise InvalidError("the list of a dataset's chunks is of another dataset")
        for name in ("head", "tail"):
            document[name] = base64.b64decode(document[name])
        for name in ("chunks", "narrow"):
            document[name] = tuple(Chunk(**one) for one in document[name])
        return cls(**document)


def cut(path: Path, digest: str) -> Manifest:
    """The chunks of the canonical file at `path`, which has this SHA-256. Reads the file once.

    Raises InvalidError when the bytes are not a whole canonical file.
    """
    chunks: list[Chunk] = []
    narrow: list[Chunk] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        places, schema = _places(path, len(whole))
        for start, end in places:
            content = whole[start:end]
            batch = batch_of(content, schema)
            chunks.append(Chunk(sha256(content), len(content), batch.num_rows))
            small = narrowed(batch)
            if small is not None:
                narrow.append(Chunk(sha256(small), len(small), batch.num_rows))
        head, tail = whole[: places[0][0]], whole[places[-1][1] :]
        size = len(whole)
    if sum(one.size for one in narrow) * NARROW_SHARE > size or len(narrow) < len(chunks):
        narrow = []
    return Manifest(digest, size, head, tail, tuple(chunks), tuple(narrow))


def contents(path: Path, manifest: Manifest) -> Iterator[tuple[Chunk, bytes]]:
    """Every chunk of the canonical file at `path` with its bytes."""
    at, schema = len(manifest.head), manifest.schema
    small = iter(manifest.narrow)
    with path.open("rb") as file:
        for chunk in manifest.chunks:
            file.seek(at)
            content = file.read(chunk.size)
            at += chunk.size
            if manifest.narrow:
                yield next(small), narrowed(batch_of(content, schema)) or b""
            yield chunk, content


def narrowed(batch: pa.RecordBatch) -> bytes | None:
    """The bytes of a narrow chunk, or None when the batch has no arrays or nothing else."""
    schema = _narrowed(batch.schema)
    if not 0 < len(schema) < len(batch.schema):
        return None
    return bytes(batch.select(schema.names).serialize())


def batch_of(content: bytes | pa.Buffer, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a chunk; nothing is copied. Raises InvalidError when the bytes are no chunk."""
    try:
        message = pa.ipc.read_message(content)
        return pa.ipc.read_record_batch(message, schema)
    except (pa.ArrowException, OSError) as error:
        raise InvalidError(f"these bytes are no chunk of a dataset: {error}") from error


def digest_of(manifest: Manifest, chunks: Iterator[bytes]) -> str:
    """The SHA-256 of the canonical file that these chunks make."""
    whole = hashlib.sha256(manifest.head)
    for content in chunks:
        whole.update(content)
    whole.update(manifest.tail)
    return whole.hexdigest()


def _narrowed(schema: pa.Schema) -> pa.Schema:
    """The fields whose cells are no arrays."""
    return pa.schema([one for one in schema if not shape_of(one)], metadata=schema.metadata)


def _places(path: Path, size: int) -> tuple[list[tuple[int, int]], pa.Schema]:
    """Where each record batch begins and ends, and the schema."""
    try:
        with pa.OSFile(str(path), "rb") as source:
            schema = pa.ipc.open_file(source).schema
            source.seek(START)
            pa.ipc.read_message(source)
            places: list[tuple[int, int]] = []
            while True:
                start = source.tell()
                if source.read(len(END)) == END:
                    return places, schema
                source.seek(start)
                pa.ipc.read_message(source)
                places.append((start, source.tell()))
    except (pa.ArrowException, EOFError, OSError) as error:
        raise InvalidError(f"{path.name} is not a whole Arrow file: {error}") from error


def sha256(content: bytes) -> str:
    """The digest of a chunk."""
    return hashlib.sha256(content).hexdigest()
