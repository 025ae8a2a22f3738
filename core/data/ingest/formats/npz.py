"""NPZ: named NumPy arrays, one column each. Nothing is ever unpickled."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import pyarrow as pa

from core.data.ingest.arraystream import ArrayStream, together
from core.data.ingest.format import Format
from core.data.ingest.limits import Limits
from core.data.ingest.npy import read_npy
from core.data.ingest.ziparchive import ZIP, check_archive
from core.errors import InvalidError
from core.family import member


@member
class Npz(Format):
    """A zip of `.npy` arrays of equal length; an array of more than one axis is a tensor column."""

    kind: Literal["npz"] = "npz"
    title: ClassVar[str] = "NPZ"
    content_types: ClassVar[tuple[str, ...]] = ("application/x-npz", "application/zip")
    endings: ClassVar[tuple[str, ...]] = (".npz",)
    magic: ClassVar[tuple[bytes, ...]] = ZIP
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)

    def read(self, source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
        """See Format.read. The arrays are read together, a few rows of each at a time."""
        try:
            with zipfile.ZipFile(source) as archive, ExitStack() as stack:
                members = check_archive(archive, source, limits, limits.max_members)
                arrays = [_open(archive, member, limits, stack) for member in members]
                yield from together(arrays, limits)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise InvalidError(f"the file is not a whole NPZ archive: {error}") from error

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, bytes]]:
        """Stored and deflated, scalars and tensors, text, both byte orders, Fortran order."""
        arrays = {
            "image": np.arange(24, dtype=np.float32).reshape(3, 4, 2),
            "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(3, 2)),
            "number": np.array([1, 2, 3], dtype=">f8"),
            "label": np.array(["one", "two", "one"]),
            "flag": np.array([True, False, True]),
        }
        for save in (np.savez, np.savez_compressed):
            sink = io.BytesIO()
            save(sink, **arrays)  # type: ignore[arg-type]
            yield cls(), sink.getvalue()


def _open(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits, stack: ExitStack
) -> ArrayStream:
    """One array of the archive, with its header checked and its numbers not yet read."""
    if not info.filename.endswith(".npy"):
        raise InvalidError(f"the archive holds {info.filename!r}: only .npy arrays are expected")
    stream = stack.enter_context(archive.open(info))
    return read_npy(stream, info.filename.removesuffix(".npy"), info.file_size, limits)
