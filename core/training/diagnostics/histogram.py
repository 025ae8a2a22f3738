"""Histograms of arrays in a network."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 40

Histogram = dict[str, Any]


def histogram(numbers: NDArray[Any]) -> Histogram | None:
    """Counts in equal bins from `low` to `high`, `mean` and `deviation`, and the share of zeros.

    Only finite numbers count; None when there is none.
    """
    flat = np.asarray(numbers, np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    peak = max(abs(low), abs(high)) or 1.0
    scaled = finite / peak  # within -1 and 1: nothing overflows, and no bin is too narrow
    return {
        "counts": _counts(scaled, low / peak, high / peak),
        "low": low,
        "high": high,
        "mean": float(scaled.mean()) * peak,
        "deviation": float(scaled.std()) * peak,
        "zero": float((finite == 0).mean()),
    }


def _counts(numbers: NDArray[np.float64], low: float, high: float) -> list[int]:
    """The count of each bin; equal numbers all fall into the middle one."""
    bins = np.full(len(numbers), BINS // 2)
    if high > low:
        shares = (numbers - low) / (high - low)
        bins = np.minimum(shares * BINS, BINS - 1).astype(np.int64)
    return np.bincount(bins, minlength=BINS).tolist()


def histograms(arrays: Iterable[tuple[str, NDArray[Any]]]) -> dict[str, Histogram]:
    """Histograms of arrays by their path, such as `[0].weight`, that have finite numbers."""
    by_path = {f"network{path}": histogram(array) for path, array in arrays}
    return {name: counted for name, counted in by_path.items() if counted is not None}
