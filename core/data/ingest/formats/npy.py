"""NPY: one NumPy array. Nothing is ever unpickled."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from annotated_types import Len

from core.data.ingest.arraystream import side_by_side, together
from core.data.ingest.format import Format
from core.data.ingest.inflate import inflated_size, plain
from core.data.ingest.limits import Limits
from core.data.ingest.npy import read_npy
from core.family import member


@member
class NpyFile(Format):
    """A single `.npy` array, plain, gzip or Zstandard.

    A table-like array (rows, n) of numbers becomes n columns `column_1` ...; any other array
    becomes one column called `name`, a tensor if a row has axes.
    """

    kind: Literal["npy"] = "npy"
    name: Annotated[str, Len(1, 250)] = "x"
    title: ClassVar[str] = "NPY"
    content_types: ClassVar[tuple[str, ...]] = ("application/x-npy",)
    endings: ClassVar[tuple[str, ...]] = (".npy",)
    magic: ClassVar[tuple[bytes, ...]] = (b"\x93NUMPY",)

    def read(self, source: Path, limits: Limits) -> Iterator[pa.RecordBatch]:
        """See Format.read."""
        size = inflated_size(source, limits)
        with plain(source) as stream:
            array = read_npy(stream, self.name, size, limits)
            if len(array.shape) == 1:
                yield from side_by_side(array, limits)
            else:
                yield from together([array], limits)

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, bytes]]:
        """A vector, a table, images, text."""
        for array in (
            np.array([1.5, 2.5, 3.5]),
            np.arange(12, dtype=np.int32).reshape(4, 3),
            np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
            np.array(["a", "b"]),
        ):
            sink = io.BytesIO()
            np.save(sink, array)
            yield cls(), sink.getvalue()
