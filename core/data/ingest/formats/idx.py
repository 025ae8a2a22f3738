"""IDX, the format of MNIST: one array per file, or images and labels together in a zip."""

import gzip
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.ingest.arraystream import ArrayStream, together
from core.data.ingest.format import Format
from core.data.ingest.inflate import inflated_size, plain
from core.data.ingest.limits import Limits
from core.data.ingest.ziparchive import ZIP, check_archive
from core.errors import InvalidError
from core.family import member

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_AXES = 8
SPLITS = {"train": "train", "t10k": "test", "test": "test", "valid": "valid"}


@member
class Idx(Format):
    """One IDX file, possibly in gzip, or a zip of IDX files with the names of MNIST.

    Arrays with axes become the column `image`, vectors the column `label`. A zip may hold several
    parts (`train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte` ...): their rows follow each other,
    and a column `split` has the part of each row. Images get a channel axis: (height, width, 1).
    """

    kind: Literal["idx"] = "idx"
    title: ClassVar[str] = "IDX"
    content_types: ClassVar[tuple[str, ...]] = ("application/x-idx", "application/zip")
    magic: ClassVar[tuple[bytes, ...]] = (
        *ZIP,
        *(bytes((0, 0, code, axes)) for code in TYPES for axes in range(1, MAX_AXES + 1)),
    )
    suffixes: ClassVar[tuple[str, ...]] = (
        *(f".idx{axes}-ubyte" for axes in range(1, 5)),
        ".idx",
        ".idx1",
        ".idx3",
    )

    def read(self, source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
        """See Format.read."""
        with source.open("rb") as file:
            zipped = file.read(4) in ZIP
        try:
            if zipped:
                yield from _archive(source, limits)
            else:
                size = inflated_size(source, limits)
                with plain(source) as stream:
                    yield from together([_array(stream, "the file", size)], limits)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise InvalidError(f"the file is not a whole zip archive: {error}") from error

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, bytes]]:
        """Images, labels, floats in gzip, and an archive of two parts."""
        images = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
        labels = np.array([1, 0, 1, 2], np.uint8)
        yield cls(), encode(images)
        yield cls(), encode(labels)
        yield cls(), gzip.compress(encode(np.array([0.5, 1.5], ">f4")), mtime=0)
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in ("train", "t10k"):
                archive.writestr(f"{part}-images.idx3-ubyte", encode(images))
                archive.writestr(f"{part}-labels.idx1-ubyte", encode(labels))
        yield cls(), sink.getvalue()


def encode(array: NDArray[Any]) -> bytes:
    """The bytes of an IDX file with an array."""
    big = array.astype(array.dtype.newbyteorder(">"))
    codes = {np.dtype(name): code for code, name in TYPES.items()}
    head = bytes((0, 0, codes[big.dtype], big.ndim))
    return head + struct.pack(f">{big.ndim}I", *big.shape) + big.tobytes()


def _array(stream: IO[bytes], title: str, size: int) -> ArrayStream:
    """The array in `stream`, an IDX file of `size` bytes called `title` in messages."""
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= head[3] <= MAX_AXES:
        raise InvalidError(f"{title} does not begin like an IDX file")
    axes = head[3]
    sizes = stream.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise InvalidError(f"{title} ends within its header")
    shape = struct.unpack(f">{axes}I", sizes)
    dtype = np.dtype(TYPES[head[2]])
    expected, held = math.prod(shape) * dtype.itemsize, size - 4 - 4 * axes
    if expected != held:
        raise InvalidError(f"{title} promises {expected:,} bytes of numbers and has {held:,}")
    if math.prod(shape[1:]) == 0:
        raise InvalidError(f"{title} has empty rows: its shape is {shape}")
    cell = (*shape[1:], 1) if axes == 3 else tuple(shape[1:])
    return ArrayStream("image" if axes > 1 else "label", stream, dtype, shape[0], cell)


def _archive(source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
    """The rows of all parts of an archive, one part after the other."""
    with zipfile.ZipFile(source) as archive:
        parts: dict[str, list[zipfile.ZipInfo]] = {}
        for info in check_archive(archive, source, limits, limits.max_members):
            name = info.filename.rpartition("/")[2]
            parts.setdefault(SPLITS.get(name.partition("-")[0], ""), []).append(info)
        for part, files in sorted(parts.items(), reverse=True):
            with ExitStack() as stack:
                arrays = []
                for info in sorted(files, key=lambda member: member.filename):
                    stream = stack.enter_context(archive.open(info))
                    arrays.append(_array(stream, repr(info.filename), info.file_size))
                for batch in together(arrays, limits):
                    yield _marked(batch, part) if len(parts) > 1 else batch


def _marked(batch: pa.RecordBatch, part: str) -> pa.RecordBatch:
    """The batch with a column that has the part of its rows."""
    return batch.append_column("split", pa.array([part] * batch.num_rows))
