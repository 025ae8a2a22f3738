"""Metric points and their packed format: 34 bytes each, read without parsing."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidError

PACKED = np.dtype(
    [("key", "<u2"), ("step", "<i8"), ("epoch", "<i8"), ("at_ms", "<i8"), ("value", "<f8")]
)
"""One packed point: `key` indexes the chunk's names, `at_ms` is milliseconds since 1970 UTC."""

_MOST_KEYS = 2**16


class Point(NamedTuple):
    """The value of metric `key` at `step` (optimizer updates so far), written at `at_ms`."""

    key: str
    step: int
    epoch: int
    at_ms: int
    value: float


def pack(points: Iterable[Point]) -> tuple[list[str], NDArray[np.void]]:
    """The names of `points` in order of first appearance, and the points as a PACKED array.

    Raises InvalidError for more than 65,536 names.
    """
    names: dict[str, int] = {}
    rows = [(names.setdefault(p.key, len(names)), *p[1:]) for p in points]
    if len(names) > _MOST_KEYS:
        raise InvalidError(f"a chunk holds at most {_MOST_KEYS} metrics, not {len(names)}")
    return list(names), np.array(rows, dtype=PACKED)


def unpack(data: bytes) -> NDArray[np.void]:
    """The PACKED array whose bytes are `data`; read-only, no copy."""
    return np.frombuffer(data, dtype=PACKED)


def points(names: Sequence[str], packed: NDArray[Any]) -> Iterator[Point]:
    """The points of a PACKED array whose `key` indexes `names`."""
    for key, step, epoch, at_ms, value in packed.tolist():
        yield Point(names[key], step, epoch, at_ms, value)
