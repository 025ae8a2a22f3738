"""Quantiles and histograms of columns, from a sample when there are very many numbers."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.table.schema import BINS, QUANTILES, ColumnSchema, Distribution

# The most numbers that are sampled of one column, and of all columns.
MAX_SAMPLE = 2**20
MAX_SAMPLES = 2**24
MAX_COLUMNS = 1000


def distributions(
    path: Path, rows: int, columns: Sequence[ColumnSchema]
) -> dict[str, Distribution]:
    """The distribution of every column of numbers in the canonical file, by name.

    Rows are sampled at a regular distance, so equal files give equal results. Empty for a table
    with very many columns.
    """
    numeric = [
        column for column in columns if column.minimum is not None and column.maximum is not None
    ]
    if not numeric or len(columns) > MAX_COLUMNS:
        return {}
    most = min(MAX_SAMPLE, MAX_SAMPLES // len(numeric))
    strides = {column.name: max(1, math.ceil(rows * column.size / most)) for column in numeric}
    samples: dict[str, list[NDArray[np.float64]]] = {column.name: [] for column in numeric}
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_file(source) as reader:
        start = 0
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index)
            for name, stride in strides.items():
                samples[name].append(_taken(batch.column(name), -start % stride, stride))
            start += batch.num_rows
    return {
        column.name: _distribution(np.concatenate(samples[column.name]), column)
        for column in numeric
    }


def _taken(column: pa.Array, first: int, stride: int) -> NDArray[np.float64]:
    """The finite numbers of every `stride`-th row from row `first` on."""
    if stride > 1:
        column = column.take(pa.array(np.arange(first, len(column), stride)))
    flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
    present = flat.drop_null().to_numpy(zero_copy_only=False)
    values: NDArray[np.float64] = present.astype(np.float64)
    return values[np.isfinite(values)]


def _distribution(sample: NDArray[np.float64], column: ColumnSchema) -> Distribution:
    """Quantiles, and counts in equal bins from the column's minimum to its maximum."""
    low, high = column.minimum or 0.0, column.maximum or 0.0
    width = high - low
    if width > 0 and math.isfinite(width):
        place = ((sample - low) / width * BINS).astype(np.int64)
        counts = np.bincount(np.clip(place, 0, BINS - 1), minlength=BINS)
    else:
        counts = np.array([len(sample)])
    with np.errstate(over="ignore", invalid="ignore"):
        quantiles = np.quantile(sample, QUANTILES) if len(sample) else np.array([])
    return Distribution(
        sampled=len(sample),
        quantiles=tuple(float(value) for value in quantiles)
        if np.isfinite(quantiles).all()
        else (),
        histogram=tuple(int(count) for count in counts),
    )
