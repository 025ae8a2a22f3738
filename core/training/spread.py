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
    counts, _ = np.histogram(finite, bins=BINS, range=(low, high))
    return {
        "counts": counts.tolist(),
        "low": low,
        "high": high,
        "mean": float(finite.mean()),
        "deviation": float(finite.std()),
        "zero": float((finite == 0).mean()),
    }


def spreads(arrays: Iterable[tuple[str, NDArray[Any]]]) -> dict[str, Spread]:
    """Of arrays by their places in a network, `[0].weight` say, those that have finite numbers."""
    found = {f"network{place}": spread(array) for place, array in arrays}
    return {name: one for name, one in found.items() if one is not None}
