"""How numbers are spread, in few of them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 40

Spread = dict[str, Any]


def spread(numbers: NDArray[Any]) -> Spread | None:
    """Counts in equal bins from `low` to `high`, `mean` and `deviation`, and the share of zeros.

    Of finite numbers; None when there is none.
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
    """How many lie in each bin; equal numbers all lie in the middle one."""
    places = np.full(len(numbers), BINS // 2)
    if high > low:
        shares = (numbers - low) / (high - low)
        places = np.minimum(shares * BINS, BINS - 1).astype(np.int64)
    return np.bincount(places, minlength=BINS).tolist()


def spreads(arrays: Iterable[tuple[str, NDArray[Any]]]) -> dict[str, Spread]:
    """Of arrays by their places in a network, `[0].weight` say, those that have finite numbers."""
    found = {f"network{place}": spread(array) for place, array in arrays}
    return {name: one for name, one in found.items() if one is not None}
