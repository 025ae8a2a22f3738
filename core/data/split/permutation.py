"""Random orders that are the same on every machine and with every NumPy version.

NumPy promises stable streams for its bit generators, not for `Generator.permutation`: so the
orders are made by sorting raw Philox words.
"""

import hashlib
import threading

import numpy as np
from numpy.typing import NDArray


class _Words(threading.local):
    """A generator for each thread: to put a key into one takes a third of making a new one."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(key=0)

    def draw(self, count: int, key: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The first words that a new generator with this key gives."""
        self.philox.state = {
            "bit_generator": "Philox",
            "state": {"counter": ZERO, "key": key},
            "buffer": ZERO,
            "buffer_pos": len(ZERO),
            "has_uint32": 0,
            "uinteger": 0,
        }
        return np.asarray(self.philox.random_raw(count), dtype=np.uint64)


ZERO = np.zeros(4, np.uint64)
_words = _Words()


def words(count: int, seed: int, *purpose: str | int) -> NDArray[np.uint64]:
    """`count` random 64-bit words that depend on nothing but `seed` and `purpose`."""
    name = "/".join(map(str, (seed, *purpose)))
    return _words.draw(count, np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], "<u8"))


def permutation(count: int, seed: int, *purpose: str | int) -> NDArray[np.int64]:
    """The numbers 0 to `count` - 1 in a random order that depends on `seed` and `purpose`.

    `purpose` keeps the streams of one seed apart: `permutation(n, 7, "order", epoch)`.
    """
    order = words(count, seed, *purpose).argsort(kind="stable")
    return order.astype(np.int64, copy=False)
