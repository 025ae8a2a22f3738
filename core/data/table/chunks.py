"""A dataset version as chunks: each record batch of its canonical file is stored once, by digest.

The canonical file is a head (the schema), record batches of a fixed number of rows, and a tail
(their positions). The bytes of a batch do not depend on its position, and its number of rows
depends on the schema alone. So versions that begin with the same rows share all complete batches:
adding 1 % of the rows adds 1 % of the bytes and at most one batch, about 8 MB. A row inserted at
the front moves all rows that follow, so nothing is shared: boundaries are at fixed rows and do not
depend on the content.

A manifest lists the chunks in order. Head, chunks and tail concatenated are the canonical file,
byte for byte. Its digest identifies the version.
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

from core.errors import DamagedError, InvalidError

FORMAT = "chainrule.chunks.1"
SUFFIX = ".chunks"
START = 8
END = b"\xff\xff\xff\xff\0\0\0\0"


@dataclass(frozen=True)
class Chunk:
    """Bytes identified by their SHA-256, with `rows` rows."""

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

    @property
    def rows(self) -> int:
        """The number of rows of the version."""
        return sum(chunk.rows for chunk in self.chunks)

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return pa.ipc.read_schema(pa.py_buffer(self.head[START:]))

    def all(self) -> tuple[Chunk, ...]:
        """The distinct chunks of the version."""
        return tuple(dict.fromkeys(self.chunks))

    def dumps(self) -> bytes:
        """The manifest as bytes, with their digest."""
        document = asdict(self) | {
            "format": FORMAT,
            "head": base64.b64encode(self.head).decode(),
            "tail": base64.b64encode(self.tail).decode(),
        }
        text = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
        return hashlib.sha256(text).hexdigest().encode() + b"\n" + text

    @classmethod
    def loads(cls, content: bytes, digest: str | None = None) -> Self:
        """The manifest that `dumps` wrote; it must be of the version `digest` if given.

        Raises DamagedError for other bytes, InvalidError for another version or format. Use
        `digest_of` to verify all chunks against the digest of the version.
        """
        seal, _, text = content.partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != seal:
            raise DamagedError("the list of a dataset's chunks is damaged")
        document = json.loads(text)
        if document.pop("format", None) != FORMAT:
            raise InvalidError("the list of a dataset's chunks is of another format")
        if digest is not None and document["digest"] != digest:
            raise InvalidError("the list of a dataset's chunks is of another dataset")
        for name in ("head", "tail"):
            document[name] = base64.b64decode(document[name])
        document["chunks"] = tuple(Chunk(**entry) for entry in document["chunks"])
        return cls(**document)


def cut(path: Path, digest: str) -> Manifest:
    """The chunks of the canonical file at `path`, which has this SHA-256. Reads the file once.

    Raises InvalidError when the bytes are not a whole canonical file.
    """
    chunks: list[Chunk] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        places, schema = _places(path)
        for start, end in places:
            content = whole[start:end]
            batch = batch_of(content, schema)
            chunks.append(Chunk(sha256(content), len(content), batch.num_rows))
        head, tail = whole[: places[0][0]], whole[places[-1][1] :]
        size = len(whole)
    return Manifest(digest, size, head, tail, tuple(chunks))


def contents(path: Path, manifest: Manifest) -> Iterator[tuple[Chunk, bytes]]:
    """Each chunk of the canonical file at `path`, with its bytes."""
    with path.open("rb") as file:
        file.seek(len(manifest.head))
        for chunk in manifest.chunks:
            yield chunk, file.read(chunk.size)


def batch_of(content: bytes | pa.Buffer, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a chunk, without a copy. Raises InvalidError when the bytes are not a chunk."""
    try:
        message = pa.ipc.read_message(content)
        return pa.ipc.read_record_batch(message, schema)
    except (pa.ArrowException, OSError) as error:
        raise InvalidError(f"these bytes are no chunk of a dataset: {error}") from error


def digest_of(manifest: Manifest, chunks: Iterator[bytes]) -> str:
    """The SHA-256 of the canonical file with these chunks."""
    whole = hashlib.sha256(manifest.head)
    for content in chunks:
        whole.update(content)
    whole.update(manifest.tail)
    return whole.hexdigest()


def _places(path: Path) -> tuple[list[tuple[int, int]], pa.Schema]:
    """The start and end of each record batch, and the schema."""
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
