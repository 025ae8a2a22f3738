"""Files of the formats that datasets come in, as bytes."""

import io
import zipfile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray


def npz(**arrays: Any) -> bytes:
    """Arrays by name."""
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    """One array, pickled if it holds objects."""
    sink = io.BytesIO()
    np.save(sink, array, allow_pickle=True)
    return sink.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    """A table."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def zipped(*files: tuple[str, bytes], **options: Any) -> bytes:
    """An archive of files by name."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", **options) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return sink.getvalue()
